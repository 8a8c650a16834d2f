"""Live progress on a terminal, plain lines everywhere else.

A step reports how many of its rows are done; the display decides how to show it. Plain lines appear at most once every
few seconds, so a log of a long build stays readable.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[int], None]
PLAIN_SECONDS = 5.0


class Display:
    """Shows the steps of a build one after the other on one console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def step(self, name: str, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Show a step of `total` rows (None: not known before), `done` of them from an earlier run.

        Call the result with each number of rows finished.
        """
        if self.console.is_terminal:
            with self._live(name, total, done) as advance:
                yield advance
        else:
            with self._plain(name, total, done) as advance:
                yield advance

    @contextmanager
    def _live(self, name: str, total: int | None, done: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=total, completed=done)
            yield lambda count: progress.update(task, advance=count)

    @contextmanager
    def _plain(self, name: str, total: int | None, done: int) -> Iterator[Advance]:
        start = last = time.monotonic()
        current = done
        of = "" if total is None else f" of {total}"

        def advance(count: int) -> None:
            nonlocal current, last
            current += count
            now = time.monotonic()
            if now - last >= PLAIN_SECONDS and current != total:
                last = now
                self._line(f"{name}: {current}{of}, {now - start:.0f} s")

        yield advance
        resumed = f" ({done} from before)" if done else ""
        self._line(f"{name}: {current}{of}{resumed}, {time.monotonic() - start:.1f} s")

    def note(self, text: str) -> None:
        """One line beside the progress display."""
        self._line(text)

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
