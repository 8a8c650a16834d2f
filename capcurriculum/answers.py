r"""A model's text -> an answer -> right, wrong, unparsed or failed. Used alike for pass rates, filters and rewards.

Only text after the thinking counts. The answer is in the last `\boxed{}` (or the last boxes, where they are joined);
else in the last explicit final statement; else it is a reply that is nothing but an answer. All else is UNPARSED. With
options the answer is the letter of one (`capcurriculum.grading.comparators.choices`); without, it is compared with the
gold answer by that one's kind (`capcurriculum.grading.comparing`, docs/grading.md).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from string import ascii_uppercase

from capcurriculum.grading import extract, kinds
from capcurriculum.grading.comparators import choices
from capcurriculum.grading.comparing import MAX_CHARACTERS, compare
from capcurriculum.grading.kinds import Kind
from capcurriculum.grading.workers import algebra
from capcurriculum.rows import Outcome

Options = Sequence[str] | Mapping[str, str]

_LONGEST_SHORT_ANSWER = 200
_EDGE = " \t\r\n*_`\"'“”‘’"


@dataclass(frozen=True, slots=True)
class Grade:
    """What a reply is worth.

    `answer` is the letter chosen, or the free answer as written, or "" when there is none; `detail` says why an outcome
    is UNPARSED or FAILED, and is "" otherwise.
    """

    outcome: Outcome
    answer: str
    detail: str = ""


def grade(
    text: str | None, gold: str | float | None, options: Options | None = None, kind: Kind | str | None = None
) -> Grade:
    """Grade one reply.

    Args:
        text: the whole reply, thinking included; None where there is none.
        gold: with options the letter of the right one, else the right answer in LaTeX or plain text, or a number.
        options: texts in the order A, B, C, ... or a mapping from letter to text; None or empty for a free answer.
        kind: the kind of the gold answer (a `Kind`), where its source says it; found from the gold answer otherwise.

    Returns:
        the outcome, with the answer as read from the reply.

    Raises:
        ValueError: there is no gold answer, it is not the letter of an option, or the options have no letters: the
            caller's data is wrong.
        EngineError: the maths worker cannot start at all. No text ever raises.
    """
    key = _key(gold)
    final = extract.after_thinking(text or "")
    if options is None or len(options) == 0:
        return _grade_free(final, key, Kind(kind) if kind else None)
    lettered = _lettered(options)
    letter = key.strip().upper()
    if letter not in lettered:
        raise ValueError(f"The gold answer {key!r} is not the letter of an option ({', '.join(lettered)}).")
    chosen, detail = _choice(final, lettered)
    if not chosen:
        return Grade(Outcome.UNPARSED, "", detail)
    return Grade(Outcome.RIGHT if chosen == letter else Outcome.WRONG, chosen)


def grade_many(items: Iterable[tuple[str | None, str, Options | None, str | None]]) -> list[Grade]:
    """`grade` over (text, gold, options, kind), in order, as many at once as there are maths workers."""
    with ThreadPoolExecutor(algebra.workers()) as threads:
        return list(threads.map(lambda item: grade(*item), items))


def kind_of(gold: str | float | None) -> Kind:
    """The kind of a free gold answer.

    Raises:
        ValueError: there is no gold answer.
    """
    return kinds.gold(_key(gold)).kind


def _key(gold: object) -> str:
    """The gold answer as text.

    Raises:
        ValueError: there is none, or it is something else than a text or a number.
    """
    if isinstance(gold, bool) or gold is None or not isinstance(gold, str | int | float):
        raise ValueError(f"A gold answer is a text or a number, not {gold!r}.")
    if isinstance(gold, float):
        if gold != gold:
            raise ValueError("A gold answer is a text or a number, not NaN.")
        return str(int(gold)) if gold.is_integer() else repr(gold)
    return str(gold)


def _lettered(options: Options) -> dict[str, str]:
    if not isinstance(options, Mapping):
        if len(options) > len(ascii_uppercase):
            raise ValueError(f"{len(options)} options are more than there are letters.")
        return dict(zip(ascii_uppercase, options, strict=False))
    lettered = {letter.strip().upper(): text for letter, text in options.items()}
    if len(lettered) != len(options) or not all(len(k) == 1 and k in ascii_uppercase for k in lettered):
        raise ValueError(f"Options must be named by different single letters, not {', '.join(options)}.")
    return lettered


def _choice(final: str, options: Mapping[str, str]) -> tuple[str, str]:
    """(letter, "") or ("", why not)."""
    boxes = extract.last_boxes(final)
    if boxes is not None:
        if not boxes[-1]:
            return "", "the last box is empty or never closed"
        return choices.one_of(boxes, options)
    statement = extract.last_statement(final)
    if statement is not None:
        return choices.stated(statement, options), "the final statement names no option"
    bare = extract.tagged(final)
    return choices.named(bare, options, lenient=False), "no box, no final statement, and the reply is no option"


def _grade_free(final: str, gold: str, kind: Kind | None) -> Grade:
    """A free answer: the last box, else a short final statement, else a short reply that is nothing but an answer."""
    boxes = extract.last_boxes(final)
    if boxes is not None and boxes[-1]:
        return _grade_boxes(boxes, gold, kind)
    statement = extract.last_statement(final) if boxes is None else None
    if boxes is not None:
        answer, detail = "", "the last box is empty or never closed"
    elif statement is not None:
        answer = _short(choices.first_sentence(statement), gold, words=3)
        detail = "the final statement holds no short answer"
    else:
        answer = _short(extract.tagged(final).strip(), gold, words=1)
        detail = "no box, no final statement, and the reply is no short answer"
    if not answer:
        return Grade(Outcome.UNPARSED, "", detail)
    return _compared(answer, gold, kind)


def _grade_boxes(boxes: Sequence[str], gold: str, kind: Kind | None) -> Grade:
    """Boxes joined by "and", "or" or a comma are one list where the gold answer is one, and else must agree."""
    if len(boxes) == 1:
        return _compared(boxes[0], gold, kind)
    if kinds.gold(gold, kind).kind in (Kind.LIST, Kind.SET):
        return _compared(", ".join(boxes), gold, kind)
    grades = [_compared(box, gold, kind) for box in boxes]
    if len({one.outcome for one in grades}) > 1:
        return Grade(Outcome.UNPARSED, "", "the boxes hold different answers")
    return grades[-1]


def _compared(answer: str, gold: str, kind: Kind | None) -> Grade:
    outcome, detail = compare(answer, gold, kind)
    return Grade(outcome, answer if len(answer) <= MAX_CHARACTERS else "", detail)


def _short(content: str, gold: str, *, words: int) -> str:
    """`content` when it is an answer and no prose: few words (one more beside a digit, its unit), or the gold text."""
    if len(content) > _LONGEST_SHORT_ANSWER:
        return ""
    answer = content.strip(_EDGE).rstrip(".!。").strip(_EDGE)
    allowed = words + any(character.isdigit() for character in answer)
    said = re.findall(r"(?<![\\\w])[^\W\d_]['’\w]+", answer)
    return answer if len(said) <= allowed or answer.casefold() == gold.strip().casefold() else ""
