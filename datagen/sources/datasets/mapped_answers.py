"""Options and gold answers of problems by the column mapping in the recipe."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self

from capcurriculum.grading.kinds import Kind
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Columns, SourceSection
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record, single
from datagen.sources.options import answer_keys, choices, in_text, options
from datagen.sources.options.key_evidence import Convention

_LETTER = re.compile(r"^\s*[(\[]?[A-Ja-j][)\].:]?\s*$")
_NONE = options.Options()
#: Rows that are looked at for letters without options, and how many it takes.
_LOOKED_AT, _FEWEST = 200, 4


@dataclass(frozen=True, slots=True)
class Answers:
    """How the answers of one source are read.

    `convention` is what its keys of options are. With `bare_letters` most rows answer with the letter of an option that
    no column and no text has.
    """

    columns: Columns
    convention: answer_keys.Reading
    bare_letters: bool = False

    @classmethod
    def of(cls, section: SourceSection, columns: Columns, records: Callable[[], Iterator[Record]]) -> Self:
        """As the recipe says, else as all rows together show.

        Raises:
            SourceError: the keys can be read in several ways, or not as the recipe says.
        """
        if columns.option_columns:
            return cls(columns, _convention(section, columns, records))
        return cls(columns, answer_keys.Reading(), may_be_letters(columns) and _bare_letters(records(), columns))

    def read(self, record: Record) -> tuple[tuple[str, ...], str]:
        """Options and the letter of the right one, or no options and a free answer.

        Raises:
            LineProblem: there is no answer, it names no option, or its options are missing.
        """
        found = _options(record, self.columns)
        if found.texts:
            # Labels that the columns contradict are left in the texts until here.
            texts = choices.cleaned(found.texts) if found.texts == found.written else found.texts
            return texts, answer_keys.letter(_key(record, self.columns), found, self.convention, record.number)
        answer = self._free_answer(record)
        if self.bare_letters and _LETTER.match(answer) and not in_text.loose(record.text(self.columns.problem)):
            detail = f"row {record.number} answers with the letter {answer.strip()!r}; name the columns of its options"
            mend = "(columns: {options: ...}), or say what its answers are (answer: {column: ..., kind: text})"
            raise LineProblem(Reason.MISSING_OPTIONS, f"{detail} {mend}")
        return (), answer

    def _free_answer(self, record: Record) -> str:
        column, mark = self.columns.answer_column, self.columns.gold.after
        value = single(record.get(column))
        if self.columns.option_columns and isinstance(value, str) and _LETTER.match(value):
            detail = f"row {record.number} answers with the letter {value.strip()!r} and has no options"
            raise LineProblem(Reason.MISSING_OPTIONS, detail)
        answer = str(value) if isinstance(value, bool) else record.text(column)
        return choices.final_answer(answer, mark, record.number) if mark else answer


def may_be_letters(columns: Columns) -> bool:
    """Whether answers may be letters of options: the recipe gives them no other kind."""
    return columns.answer_kind in ("", Kind.CHOICE)


def _convention(
    section: SourceSection, columns: Columns, records: Callable[[], Iterator[Record]]
) -> answer_keys.Reading:
    """What the keys beside options are."""

    def rows() -> Iterator[tuple[int, object, options.Options]]:
        for record in records():
            if record.problem is None:
                try:
                    said = _key(record, columns), _options(record, columns)
                except LineProblem:
                    continue
                yield record.number, *said

    where = section.path or section.repo
    if columns.answers:
        return answer_keys.check(rows(), Convention(columns.answers), where)
    return answer_keys.infer(rows(), where)


def _key(record: Record, columns: Columns) -> object:
    """The answer of a row with options, out of its solution if it stands in one."""
    value, mark = single(record.get(columns.answer_column)), columns.gold.after
    return choices.final_answer(value, mark, record.number) if mark and isinstance(value, str) else value


def _options(record: Record, columns: Columns) -> options.Options:
    """The options of a row, of one column or of one each."""
    if isinstance(columns.options, tuple):
        values = [record.get(name) for name in columns.options]
        return options.of_columns(values, columns.options, record.number)
    return options.read(record.get(columns.options), record.number, columns.options) if columns.options else _NONE


def _bare_letters(records: Iterable[Record], columns: Columns) -> bool:
    """Whether most of the first rows answer with a letter, and no options are found in their texts."""
    rows = bare = 0
    for record in islice(records, _LOOKED_AT):
        value, problem = single(record.get(columns.answer_column)), record.get(columns.problem)
        if isinstance(value, str) and isinstance(problem, str):
            rows += 1
            bare += bool(_LETTER.match(value)) and not in_text.options(problem) and not in_text.loose(problem)
    return bare == rows > 1 or (bare >= _FEWEST and 2 * bare > rows)
