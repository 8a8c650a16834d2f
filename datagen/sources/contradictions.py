"""Rows of one source that ask the same and answer differently: at least one is wrong, and it is unknown which."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from string import ascii_uppercase

from capcurriculum import answers
from capcurriculum.rows import Outcome, digest
from datagen.sources.formats.record import canonical
from datagen.sources.options import choices, in_text
from datagen.sources.source import Problem


@dataclass(slots=True)
class Contradictions:
    """Problems with their first answer, and those that were answered in two ways; `problem in contradictions`."""

    _first: dict[int, str] = field(default_factory=dict)
    _differ: set[int] = field(default_factory=set)

    def see(self, said: Problem) -> None:
        """Remember what a row asks and answers."""
        key, answer = _asked(said), _answer(said)
        before = self._first.setdefault(key, answer)
        if before != answer and key not in self._differ and not _equal(before, answer, said):
            self._differ.add(key)

    def __contains__(self, said: Problem) -> bool:
        """Whether rows that ask the same answer it in two ways."""
        return bool(self._differ) and _asked(said) in self._differ


def _asked(said: Problem) -> int:
    """A hash of what a row asks: its text, its options in any order, and its image's name or bytes."""
    text = " ".join(choices.without_placeholders(said.problem).split())
    return int(digest("asked", text, sorted(said.options), canonical(said.image)), 16)


def _answer(said: Problem) -> str:
    """The answer, or the text of the option whose letter it is."""
    letters: Iterable[str] = ascii_uppercase[: len(said.options)]
    by_letter = dict(zip(letters, said.options, strict=False))
    return by_letter.get(said.answer.strip(), said.answer).strip()


def _equal(one: str, other: str, said: Problem) -> bool:
    """Whether two answers are one in two spellings; of options in the text, letter and text name the same one."""
    if said.options:
        return one.casefold() == other.casefold()
    if said.options_in_text and (options := in_text.options(said.problem)):
        letter = choices.letter(one, options)
        if letter and letter == choices.letter(other, options):
            return True
    kind = said.kind or answers.kind_of(other)
    return answers.grade(rf"\boxed{{{one}}}", other, None, kind).outcome is Outcome.RIGHT
