r"""math-verify for what this package's own reader does not know: integrals, sums, limits, rarer notations.

It is one comparator among others and is asked last, guarded against what it lets through: letters that differ by case,
numbers it rounds to nothing, chains of equations. What a worker has said is remembered, since the replies to one
question repeat their answers.
"""

import os
import re
import threading
from collections import OrderedDict

from capcurriculum.grading.notation.spelling import plain_words
from capcurriculum.grading.workers import pool
from capcurriculum.rows import Outcome

_REMEMBERED = 4096  # pairs of answers, at most a few kilobytes each
_TINY = re.compile(r"10\^\{?-\d|[eE]-\d|0\.0000\d")

workers = pool.workers


class _Memory:
    """The last verdicts of the workers that say something of the answers and not of the machine."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[Outcome, str]] = OrderedDict()

    def ask(self, answer: str, gold: str) -> tuple[Outcome, str]:
        with self._lock:
            known = self._known.get((answer, gold))
            if known is not None:
                self._known.move_to_end((answer, gold))
                return known
        verdict = pool.ask(answer, gold)
        found = (verdict.outcome, verdict.detail)
        if verdict.final:
            with self._lock:
                self._known[answer, gold] = found
                if len(self._known) > self._size:
                    self._known.popitem(last=False)
        return found

    def clear(self) -> None:
        with self._lock:
            self._known.clear()

    def after_fork(self) -> None:
        """Another thread may have held the lock, in the middle of a change."""
        self._lock = threading.Lock()
        self._known = OrderedDict()


_memory = _Memory(_REMEMBERED)
os.register_at_fork(after_in_child=_memory.after_fork)


def shut_down() -> None:
    """End the workers and forget what they said; the next comparison starts new ones."""
    _memory.clear()
    pool.shut_down()


def ask(given: str, gold: str) -> tuple[Outcome, str]:
    """Whether math-verify holds two cleaned answers equal, where its word can be taken.

    Raises:
        EngineError: the worker cannot start, for example because math-verify is not installed.
    """
    if given.casefold() == gold.casefold():
        return Outcome.WRONG, ""  # it takes a and A for one symbol
    if "\\" not in gold and "\\" not in given:
        return (Outcome.RIGHT if plain_words(given) == plain_words(gold) else Outcome.WRONG), ""
    if given.count("=") > gold.count("=") + 1:
        return Outcome.UNPARSED, "a chain of equations where the gold answer has none"
    outcome, detail = _memory.ask(_hundredths(given), _hundredths(gold))
    if outcome is Outcome.RIGHT and (_TINY.search(given) or _TINY.search(gold)):
        return Outcome.FAILED, "math-verify rounds numbers this small"
    return outcome, detail


def _hundredths(text: str) -> str:
    """`%` as a division: math-verify takes 9% and 9 for equal."""
    return text.replace("%", "/100").replace("°", "")
