"""Terminal output: all untrusted text passes through `visible`.

Names, captions, replies, keys of a stranger's recipe, words of a server and lines of a log may hold escape sequences,
line ends, characters that turn the direction of writing or that have no shape at all; on a terminal they could hide or
forge what stands there. Verbs print by `say` or on a `console`, nothing prints by itself (a test holds that), and what
libraries log or warn of is made visible by `guard`.
"""

import logging
import os
import select
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult

#: Letters of many scripts, and emoji, need them.
_JOINERS = "\u200c\u200d"
#: Characters of a sentence that are printed: its beginning and its end, where the mend stands.
_BEGINNING, _END = 3_000, 1_000


def visible(value: object, keep: str = "") -> str:
    r"""`value` as text in one line, characters without a shape written out as Python does (`\x1b`, `\n`, `\u202e`).

    Those in `keep` stay, as do joiners and spaces of any width.
    """
    return written_out(str(value), lambda sign: sign.encode("unicode_escape").decode(), keep)


def written_out(text: str, write: Callable[[str], str], keep: str) -> str:
    """`text` with `write` of each character that has no shape: control, format, direction, surrogate, unassigned."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep or _harmless(sign) else write(sign) for sign in text)


def _harmless(sign: str) -> bool:
    return sign in _JOINERS or unicodedata.category(sign) == "Zs"


def sentence(text: object) -> str:
    """`text` in one visible line; the middle of a very long one is left out."""
    said = str(text)
    left_out = len(said) - _BEGINNING - _END
    if left_out > 0:
        said = f"{said[:_BEGINNING]} [… {left_out:,} more characters] {said[-_END:]}"
    return visible(said)


def say(*lines: object, error: bool = False) -> None:
    """Print lines of text, each in one line, to standard output or with `error` to standard error."""
    # The stream of this moment: tests and captures exchange it.
    stream: IO[str] = sys.stderr if error else sys.stdout
    for line in lines:
        stream.write(visible(line) + "\n")
    stream.flush()


def console(stderr: bool = False, width: int | None = None, file: IO[str] | None = None) -> "Console":
    """A Rich console that interprets no markup or emoji and writes out invisible characters; to `file` if given."""
    from rich.console import Console

    found = Console(file=file, stderr=stderr, width=width, markup=False, highlight=False, emoji=False)
    found.push_render_hook(cast("RenderHook", _Hook()))
    return found


class _Hook:
    """Rich's hook around everything that is printed on a console."""

    def process_renderables(self, renderables: "list[ConsoleRenderable]") -> "list[ConsoleRenderable]":
        return [_Shown(one) for one in renderables]


class _Shown:
    """Something rich can print, with its text made visible after it was laid out; rich's own codes stay."""

    def __init__(self, inner: "RenderableType") -> None:
        self._inner = inner

    def __rich_console__(self, out: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for text, style, control in out.render(self._inner, options):
            yield Segment(text if control else visible(text, keep="\n"), style, control)


def rows_as_csv(columns: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    """Print CSV: lines end in LF alone, and cells keep their line ends and tabs (quoted), and nothing else unseen."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow(["" if value is None else visible(value, keep="\n\t") for value in row])


def deserted() -> bool:
    """Whether standard output is a pipe whose reader is gone; it is then redirected to the null device."""
    try:
        number = sys.stdout.fileno()
    except OSError:
        return False  # a capture of a test
    looking = select.poll()
    looking.register(number, 0)  # errors alone
    if not looking.poll(0):
        return False
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), number)
    return True


def guard() -> None:
    """For a process of the command line: libraries' logs and warnings are visible, and no stream fails on a letter."""
    logging.setLogRecordFactory(_Record)
    plain = warnings.formatwarning

    def formatted(*arguments: Any, **more: Any) -> str:
        return visible(plain(*arguments, **more), keep="\n")

    warnings.formatwarning = formatted
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a capture of a test has none
            stream.reconfigure(errors="backslashreplace")


class _Record(logging.LogRecord):
    """A log record whose message shows what it holds."""

    def getMessage(self) -> str:
        """The message with its arguments, in one line for each of its own."""
        return visible(super().getMessage(), keep="\n")
