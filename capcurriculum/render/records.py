"""Rows of a query: a table where it fits the terminal, else one record below the other; or JSON."""

import base64
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.console import Console
from rich.text import Text

from capcurriculum.errors import RunError
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import console, say, visible, written_out

#: Wider than any table.
_ANY_WIDTH = 10**9


def show(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows on standard output; no value is cut.

    What is no terminal has no width, and gets the table however wide it is.
    """
    out, table = console(), grid(columns, rows)
    needed = out.measure(table, options=out.options.update(max_width=_ANY_WIDTH)).maximum
    if not out.is_terminal:
        console(width=max(needed, 1)).print(table)
    elif needed <= out.width:
        out.print(table)
    else:
        for line in _vertical(columns, rows):
            _line(out, line)


def _line(out: Console, line: str) -> None:
    out.print(Text(line), soft_wrap=True)


def _vertical(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A block for each row: a column and its value in a line, further lines of a value below it."""
    names = [visible(column) for column in columns]
    width = max(map(len, names), default=0)
    for number, row in enumerate(rows, 1):
        yield f"row {number}"
        for name, value in zip(names, row, strict=True):
            lines = visible("" if value is None else value, keep="\n").split("\n")
            for begin, line in zip_longest([name], lines, fillvalue=""):
                yield f"  {begin:<{width}}  {line}".rstrip()


def print_json(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a JSON array with an object for each row, one a line.

    Times, decimals and what else JSON has not are texts, bytes are base64, infinite numbers and NaN are texts too.

    Raises:
        RunError: two columns have the same name, so that one would be lost.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise RunError(f"Two columns are called {twice[0]!r}; give one another name, as in `select a, b as other`.")
    texts = [json.dumps(dict(zip(columns, map(_plain, row), strict=True)), ensure_ascii=False) for row in rows]
    lines = [written_out(text, _escaped, keep="") + "," for text in texts]
    say("[", *lines[:-1], *(line.removesuffix(",") for line in lines[-1:]), "]")


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value)
