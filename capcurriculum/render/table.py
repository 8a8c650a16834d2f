"""One table model for Rich and Markdown, in which untrusted names are escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from capcurriculum.render.markdown import Cell, Md, code, table
from capcurriculum.render.terminal import console as terminal_console
from capcurriculum.render.terminal import visible

#: Characters of a line where nobody looks at a terminal.
_WIDE = 200


class Name(str):
    """Untrusted text: the name of a model or of a benchmark."""

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
        return table(self.columns, [[_markdown(value) for value in row] for row in self.rows], self.numbers)


def _markdown(value: str) -> Cell:
    return code(value) if isinstance(value, Name) else Md(value)


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str] = ()) -> Table:
    """A Rich table without borders; `columns` named in `numbers` are set right. Cells are text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(_cell(column), justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> Text:
    # The lines of a cell stay lines.
    return Text(visible("" if value is None else value, keep="\n"))


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
