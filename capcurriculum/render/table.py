"""A table once, for the terminal and for Markdown: words of ours, numbers, and names that are not ours."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console

from capcurriculum.ledger.show import grid
from capcurriculum.render.markdown import Cell, Md, code, table
from capcurriculum.render.terminal import console as terminal_console
from capcurriculum.render.terminal import visible

#: Characters of a line where nobody looks at a terminal.
_WIDE = 200


class Name(str):
    """Text that is not ours: the name of a model or of a benchmark."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its title, its columns, which of them are numbers, and its rows."""

    title: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> Md:
        """The table alone, in which names stand as code."""
        return table(self.columns, [[_cell(value) for value in row] for row in self.rows], self.numbers)


def _cell(value: str) -> Cell:
    return code(value) if isinstance(value, Name) else Md(value)


def plain(text: str) -> str:
    """A name where no code can stand: letters, digits and what else means nothing to Markdown or a terminal."""
    return "".join(c if c.isalnum() or c in " .:-+/=%()" else "_" for c in text)[:80]


def wide() -> Console:
    """Standard output; a file or a pipe, which has no width, is taken for a wide one."""
    found = terminal_console()
    return found if found.is_terminal else terminal_console(width=max(found.width, _WIDE))


def show(sheets: Iterable[Sheet], console: Console) -> None:
    """Print tables one below the other, each with its title."""
    for sheet in sheets:
        console.print(visible(sheet.title), style="bold", markup=False, highlight=False, soft_wrap=True)
        console.print(grid(sheet.columns, sheet.rows, sheet.numbers))
        console.print()


def say(lines: Iterable[object], console: Console) -> None:
    """Print sentences, each in one line however long."""
    for line in lines:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
