"""Rows of one source that ask the same and answer differently: one of them is wrong, and nothing tells which."""

from collections.abc import Iterable
from string import ascii_uppercase
from typing import TYPE_CHECKING

from capcurriculum import answers
from capcurriculum.rows import Outcome, digest
from datagen.sources import choices, in_text
from datagen.sources.lines import LineProblem
from datagen.sources.record import Record

if TYPE_CHECKING:
    from datagen.sources.questions import Problem, ProblemSource


def found(source: "ProblemSource") -> frozenset[int]:
    """What `asked` gives for the problems that rows answer differently; a pass over the rows without their pictures."""
    first: dict[int, str] = {}
    differ: set[int] = set()
    for record in source.records():
        said = _said(source, record)
        if said is None:
            continue
        key, answer = asked(said), _answer(said)
        before = first.setdefault(key, answer)
        if before != answer and key not in differ and not _equal(before, answer, said):
            differ.add(key)
    return frozenset(differ)


def asked(said: "Problem") -> int:
    """A number for what a row asks: its text, its options in any order, and what it says of its image."""
    text = " ".join(choices.without_placeholders(said.problem).split())
    return int(digest("asked", text, sorted(said.options), _plain(said.image)), 16)


def _said(source: "ProblemSource", record: Record) -> "Problem | None":
    if record.problem:
        return None
    try:
        return source.parse(record)
    except LineProblem:
        return None


def _plain(image: object) -> str:
    if isinstance(image, dict | list | tuple):
        return " ".join(_plain(inner) for inner in (image.values() if isinstance(image, dict) else image))
    return digest(image.hex()) if isinstance(image, bytes) else str(image)


def _answer(said: "Problem") -> str:
    """The answer, or the text of the option whose letter it is."""
    letters: Iterable[str] = ascii_uppercase[: len(said.options)]
    by_letter = dict(zip(letters, said.options, strict=False))
    return by_letter.get(said.answer.strip(), said.answer).strip()


def _equal(one: str, other: str, said: "Problem") -> bool:
    """Whether two answers are one in two spellings; of options in the text, letter and text name the same one."""
    if said.options:
        return one.casefold() == other.casefold()
    if said.options_in_text and (options := in_text.options(said.problem)):
        letter = choices.letter(one, options)
        if letter and letter == choices.letter(other, options):
            return True
    kind = said.kind or answers.kind_of(other)
    return answers.grade(rf"\boxed{{{one}}}", other, None, kind).outcome is Outcome.RIGHT
