"""Markdown in which untrusted text has no meaning: it stands in code spans and fences, and nowhere else.

Captions, questions, answers, source names and model names may hold tables, HTML, links, front matter or characters that
turn the direction of writing. Inside code no renderer looks for any of these, so nothing is escaped case by case;
what is left is the fence, which is longer than any run of its character inside. A value is either `Md`, made here or
written by us, or it does not reach a card (see `cards.templates`).
"""

import re
from collections.abc import Iterable, Sequence

from capcurriculum.render.terminal import written_out

#: Characters shown of a text in a line, and of one in a block.
LINE, BLOCK = 160, 1_200
_SPACE = re.compile(r"\s+")


class Md(str):
    """Trusted Markdown."""

    __slots__ = ()


Cell = Md | int | None


def visible(text: str) -> str:
    """`text` with characters that have no shape of their own written out, those that turn its direction among them."""
    return written_out(text, lambda sign: f"⟨U+{ord(sign):04X}⟩", keep="\n\t")


def shortened(text: str, limit: int) -> str:
    """The first `limit` characters, and how many more there are."""
    return text if len(text) <= limit else f"{text[:limit]} [… {len(text) - limit:,} more characters]"


def code(text: str, limit: int = LINE) -> Md:
    """Untrusted text as a code span in one line."""
    line = _SPACE.sub(" ", visible(shortened(text.strip(), limit))).strip()
    if not line:
        return Md("(empty)")
    # A table's row is cut at every pipe by some renderers even inside code, and an escaped one shows its backslash in
    # others, so the broken bar stands for it.
    line = line.replace("|", "¦")
    fence = "`" * (_longest(line, "`") + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return Md(f"{fence}{pad}{line}{pad}{fence}")


def block(text: str, limit: int = BLOCK, language: str = "text") -> Md:
    """Untrusted text as a fenced code block."""
    # Whatever some reader takes for the end of a line is one, and no line can be endless.
    lines = visible(shortened(text.replace("\r\n", "\n").replace("\r", "\n"), limit)).replace("\t", "    ")
    fence = "`" * max(3, _longest(lines, "`") + 1)
    return Md(f"{fence}{language}\n{lines.rstrip()}\n{fence}")


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Iterable[str] = ()) -> Md:
    """A Markdown table; columns named in `numbers` are set right, None is an empty cell.

    Raises:
        TypeError: a cell is not `Md`, or has a line end or a pipe in it.
        ValueError: a row has more or fewer cells than there are columns.
    """
    right = set(numbers)
    lines = [_line(columns), _line("--:" if name in right else "---" for name in columns)]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(row)} cells for {len(columns)} columns")
        lines.append(_line(map(_cell, row)))
    return Md("\n".join(lines))


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, Md) or "|" in value or "\n" in value:
        raise TypeError(f"{value!r} is no cell of a table")
    return value


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def listed(items: Iterable[Md], none: str = "none") -> Md:
    """`items` joined by commas; `none` if there are none."""
    return Md(", ".join(items) or none)


def percent(share: float | None, digits: int = 1) -> Md:
    """A share of 1 in per cent; `unknown` for None."""
    return Md("unknown" if share is None else f"{share:.{digits}%}")


def number(value: float | None, digits: int = 2) -> Md:
    """A number with thousands separators; `unknown` for None."""
    return Md("unknown" if value is None else f"{value:,.{digits}f}")


def link(text: str, url: str) -> Md:
    """A link to a trusted address.

    Raises:
        ValueError: text or address hold characters that no such link has.
    """
    if not re.fullmatch(r"https://[A-Za-z0-9./_~%#?=&:+-]+", url) or re.search(r"[\[\]\n|<`]", text):
        raise ValueError(f"{text!r} and {url!r} make no link")
    return Md(f"[{text}]({url})")


def _longest(text: str, character: str) -> int:
    return max((len(run) for run in re.findall(re.escape(character) + "+", text)), default=0)
