"""Live progress on a terminal, plain lines everywhere else.

A step reports how many of its rows are done; the display decides how to show it. Plain lines appear at most once every
few seconds, so a log of a long build stays readable.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from capcurriculum.render import terminal

Advance = Callable[[int], None]
#: What is said beside a count, such as `3 failed, 41 retried`, or "" for nothing. Called from a thread of the display.
Remark = Callable[[], str]
PLAIN_SECONDS = 5.0
#: A step says how fast it goes once it took this long.
TELLING_SECONDS = 1.0


class Display:
    """Shows the steps of a build one after the other on one console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or terminal.console(stderr=True)
        self._shared: Progress | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Show the steps that are begun inside at the same time."""
        if not self.console.is_terminal:
            yield
            return
        with self._bars() as self._shared:
            yield
        self._shared = None

    @contextmanager
    def step(self, name: str, total: int | None, done: int = 0, remark: Remark | None = None) -> Iterator[Advance]:
        """Show a step of `total` rows (None: not known before), `done` of them from an earlier run.

        Call the result with each number of rows finished. A `remark` is shown as soon as it changes, also while no row
        is finished.
        """
        if self.console.is_terminal:
            with self._live(name, total, done, remark) as advance:
                yield advance
        else:
            with self._plain(name, total, done, remark) as advance:
                yield advance

    @contextmanager
    def _live(self, name: str, total: int | None, done: int, remark: Remark | None) -> Iterator[Advance]:
        with nullcontext(self._shared) if self._shared else self._bars() as progress:
            task = progress.add_task(terminal.visible(name), total=total, completed=done, remark=remark)
            yield lambda count: progress.update(task, advance=count)

    def _bars(self) -> Progress:
        columns = (
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _RateColumn(),
            _RemarkColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=self.console)

    @contextmanager
    def _plain(self, name: str, total: int | None, done: int, remark: Remark | None) -> Iterator[Advance]:
        start = last = time.monotonic()
        current, said = done, (done, "")
        of = "" if total is None else f" of {total}"

        def beside() -> str:
            text = remark() if remark else ""
            return f", {text}" if text else ""

        def advance(count: int) -> None:
            nonlocal current
            current += count
            if not remark:
                say_if_due()

        def say_if_due() -> None:
            nonlocal last, said
            now, news = time.monotonic(), (current, beside())
            if now - last >= PLAIN_SECONDS and news != said and current != total:
                last, said = now, news
                pace = _pace(current - done, now - start, None if total is None else total - current)
                self._line(f"{name}: {current}{of}, {now - start:.0f} s{pace}{news[1]}")

        with _repeating(say_if_due if remark else None):
            yield advance
        resumed = f" ({done} from before)" if done else ""
        took = time.monotonic() - start
        self._line(f"{name}: {current}{of}{resumed}, {took:.1f} s{_pace(current - done, took)}{beside()}")

    def note(self, text: str) -> None:
        """One line beside the progress display."""
        self._line(text)

    def _line(self, text: str) -> None:
        self.console.print(terminal.visible(text), markup=False, highlight=False, soft_wrap=True)


def _pace(rows: int, seconds: float, left: int | None = None) -> str:
    """Rows a second and, of a step that goes on, how long the rows that are left will take; "" while too few tell."""
    if not rows or seconds < TELLING_SECONDS:
        return ""
    rate = rows / seconds
    remaining = "" if left is None else f", {timedelta(seconds=round(left / rate))} left"
    return f", {rate:,.1f} rows/s{remaining}"


class _RateColumn(ProgressColumn):
    """Rows a second, of the last half minute."""

    def render(self, task: Task) -> Text:
        """The rate as it is now."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} rows/s" if speed else "", style="cyan")


class _RemarkColumn(ProgressColumn):
    """Asked for its text whenever the display is drawn."""

    def render(self, task: Task) -> Text:
        """The remark as it is now."""
        remark = task.fields["remark"]
        return Text(terminal.visible(remark()) if remark else "", style="yellow")


@contextmanager
def _repeating(call: Callable[[], None] | None) -> Iterator[None]:
    """Call `call` periodically from a thread until the block ends, so that a step without rows yet still reports."""
    if call is None:
        yield
        return
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(PLAIN_SECONDS):
            call()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
