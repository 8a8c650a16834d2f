r"""Whether two maths answers are equal, with a hard limit on what one answer may cost.

Spelling, plain numbers and lists of them are settled here, in microseconds. The rest goes to worker processes
(`maths_pool`), where an answer that hangs, crashes or eats memory is FAILED and the next one finds a fresh worker. What
a worker has said is remembered: the replies to one question repeat their answers.
"""

import os
import threading
from collections import OrderedDict

from capcurriculum import maths_pool
from capcurriculum.maths_text import (
    assigned,
    astronomical,
    canonical,
    close,
    is_words,
    number,
    numbers,
    without_thousands,
    without_unit,
)
from capcurriculum.rows import Outcome

MAX_CHARACTERS = 1000  # no honest final answer is longer; the parser's cost grows faster than its input
_REMEMBERED = 4096  # pairs of answers, at most a few kilobytes each

workers = maths_pool.workers


def compare(answer: str, gold: str) -> tuple[Outcome, str]:
    """Whether `answer` equals `gold`, and why where that is not known.

    Raises:
        EngineError: the worker cannot start, for example because math-verify is not installed.
    """
    if answer.strip() == gold.strip():
        return Outcome.RIGHT, ""
    if max(len(answer), len(gold)) > MAX_CHARACTERS:
        return Outcome.FAILED, f"longer than {MAX_CHARACTERS} characters"
    given, expected = canonical(answer), canonical(gold)
    if given and given == expected:
        return Outcome.RIGHT, ""
    given, expected = without_thousands(given), without_thousands(expected)
    if (assigned(given) is None) != (assigned(expected) is None):
        given, expected = assigned(given) or given, assigned(expected) or expected
    (given, unit), (expected, gold_unit) = without_unit(given), without_unit(expected)
    if unit and gold_unit and unit != gold_unit:
        return Outcome.FAILED, "the answer and the gold answer have different units, and units are not converted"
    settled = _settle(given, expected)
    if settled is not None:
        return settled, ""
    if astronomical(given) or astronomical(expected):
        return Outcome.FAILED, "a number of more than ten thousand digits"
    if max(len(given), len(expected)) > 2 * MAX_CHARACTERS:
        return Outcome.FAILED, "too long once its symbols are spelt out"
    return _memory.ask(_hundredths(given), _hundredths(expected))


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
        verdict = maths_pool.ask(answer, gold)
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
    maths_pool.shut_down()


def _hundredths(text: str) -> str:
    """`%` as a division: math-verify takes 9% and 9 for equal."""
    return text.replace(r"\%", "%").replace("%", "/100")


def _settle(given: str, expected: str) -> Outcome | None:
    """RIGHT or WRONG where no algebra is needed, else None."""
    if given == expected:
        return Outcome.RIGHT
    if not given or not expected:
        return Outcome.UNPARSED if not given else Outcome.WRONG
    rounded = "." in given + expected
    value, gold_value = number(given), number(expected)
    if value is not None and gold_value is not None:
        return Outcome.RIGHT if close(value, gold_value, rounded=rounded) else Outcome.WRONG
    several, gold_several = numbers(given), numbers(expected)
    if several is not None and gold_several is not None and several[0] == gold_several[0]:
        same = len(several[1]) == len(gold_several[1]) and all(
            close(a, b, rounded=rounded) for a, b in zip(several[1], gold_several[1], strict=True)
        )
        return Outcome.RIGHT if same else Outcome.WRONG
    if is_words(given) or is_words(expected):
        return Outcome.RIGHT if given.casefold() == expected.casefold() else Outcome.WRONG
    # math-verify takes a and A for one symbol. Names differ by case here, and two lone letters are two names.
    lone = len(given) == len(expected) == 1 and given.isalpha() and expected.isalpha()
    if lone or given.casefold() == expected.casefold():
        return Outcome.WRONG
    return None
