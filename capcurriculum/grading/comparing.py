r"""From a gold answer's kind to its comparator, and from what cannot be read to its outcome.

A new fault has one obvious place: the spelling of a sign in `notation.spelling`, a unit in `notation.unit_list`, a
notation in `notation.expression` or `notation.structure`, the meaning of a kind in its module of `comparators`.
"""

import re
from collections.abc import Callable, Mapping

from capcurriculum.grading.comparators import choices, quantities, texts
from capcurriculum.grading.kinds import CODE, Gold, Kind, gold
from capcurriculum.grading.notation import numbers
from capcurriculum.grading.notation.reading import Reading, read
from capcurriculum.grading.notation.spelling import clean
from capcurriculum.grading.notation.tokens import Words
from capcurriculum.grading.notation.tree import Broken, Number, Unevaluated, Unread
from capcurriculum.grading.workers import algebra
from capcurriculum.rows import Outcome

MAX_CHARACTERS = 1000  # no honest final answer is longer

_INTRODUCTION = re.compile(r"^(?:\\text\{)?(?:the )?(?:final |correct )?answer(?: is)? ?:? ?\}? ?(?=\S)", re.IGNORECASE)

Found = tuple[Outcome, str]
_RIGHT, _WRONG = (Outcome.RIGHT, ""), (Outcome.WRONG, "")


def compare(answer: str, gold_text: str, kind: Kind | None = None) -> Found:
    """Whether `answer` equals the gold answer, and why where that is not known.

    Args:
        answer: the final answer alone, as written.
        gold_text: the gold answer.
        kind: what kind all gold answers of the source are, if it says so.

    Raises:
        EngineError: math-verify is needed and its worker cannot start.
    """
    if answer.strip() == gold_text.strip() and answer.strip():
        return _RIGHT
    if len(gold_text) > MAX_CHARACTERS:
        return Outcome.FAILED, f"the gold answer is longer than {MAX_CHARACTERS} characters"
    if len(answer) > MAX_CHARACTERS:
        return Outcome.UNPARSED, f"longer than {MAX_CHARACTERS} characters"
    given, expected = _INTRODUCTION.sub("", clean(answer)), gold(gold_text, kind)
    if not given:
        return Outcome.UNPARSED, "the answer is empty"
    if given == expected.text:
        return _RIGHT
    return COMPARATORS[expected.kind](given, expected)


def _as_text(given: str, expected: Gold) -> Found:
    return _RIGHT if texts.equal(given, expected.text) else _WRONG


def _as_letter(given: str, expected: Gold) -> Found:
    return _RIGHT if choices.same_letter(given, expected.text) else _WRONG


def _as_number(given: str, expected: Gold) -> Found:
    """Numbers in digits first, exactly and in microseconds; all else as any structure."""
    one = numbers.read(given)
    node = expected.reading.node if expected.reading else None
    if one is not None and isinstance(node, Number):
        decimal = one.decimal or node.decimal
        return _RIGHT if numbers.equal(one.value, node.value, decimal=decimal) else _WRONG
    return _as_structure(given, expected)


def _as_structure(given: str, expected: Gold) -> Found:
    if CODE.match(expected.text) and given.casefold() == expected.text.casefold():
        return _RIGHT
    if expected.reading is None:
        return algebra.ask(given, expected.text)
    try:
        verdict = _verdict(given, expected.text, expected.reading)
    except Words:
        return _RIGHT if _same_words(given, expected) else _WRONG
    except Broken as error:
        return _RIGHT if _same_words(given, expected) else (Outcome.UNPARSED, f"the answer is not complete: {error}")
    except Unevaluated as error:
        return Outcome.UNPARSED, f"the answer leaves {error} to be carried out"
    except Unread as error:
        # math-verify is not asked: a reply could make it work without end on a gold answer that never needed it.
        return Outcome.UNPARSED, f"{error} is not known"
    if verdict is None:
        return Outcome.FAILED, "the gold answer has no value that could be compared"
    return _RIGHT if verdict else _WRONG


def _verdict(given: str, expected: str, reading: Reading) -> bool | None:
    """Whether they are equal, under any reading that both can have: of commas, and of a letter after a number."""
    counts = reading.unit is not None and not reading.unit.listed
    said = read(given, gold=counts)
    verdict = quantities.equal(said, reading)
    if verdict is not True and "," in given + expected and not re.search(r",0\d", given + expected):
        verdict = _again(given, expected, verdict, thousands=False)
    if verdict is not True and (said.unit is None) != (reading.unit is None):
        verdict = _again(given, expected, verdict, lone=True)
    return verdict


def _again(
    given: str, expected: str, verdict: bool | None, *, thousands: bool = True, lone: bool = False
) -> bool | None:
    """`100,200` as a list of two instead of a number; `5 m` as five metres where the other side has a unit."""
    try:
        one = read(given, thousands=thousands, lone=lone)
        other = read(expected, gold=True, thousands=thousands, lone=lone)
    except (Words, Broken, Unread):
        return verdict
    if lone and (one.unit is None or one.unit != other.unit):
        return verdict
    return True if quantities.equal(one, other) else verdict


def _same_words(given: str, expected: Gold) -> bool:
    return (
        bool(re.search(r"[A-Za-z]{3}", expected.text))
        and "\\" not in expected.text
        and texts.equal(given, expected.text)
    )


COMPARATORS: Mapping[Kind, Callable[[str, Gold], Found]] = {
    Kind.CHOICE: _as_letter,
    Kind.NUMBER: _as_number,
    Kind.QUANTITY: _as_structure,
    Kind.EXPRESSION: _as_structure,
    Kind.EQUATION: _as_structure,
    Kind.SET: _as_structure,
    Kind.LIST: _as_structure,
    Kind.TUPLE: _as_structure,
    Kind.INTERVAL: _as_structure,
    Kind.MATRIX: _as_structure,
    Kind.TEXT: _as_text,
}
