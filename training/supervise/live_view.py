"""A stage while it trains: one changing view on a terminal, one plain line a step everywhere else.

What is shown are verl 0.9.1's own metrics and the rewards' numbers that `on_verl.sampler` adds. The time to come is
counted from the last steps, so a run that slows down says so soon, and what no trainer has reported yet is left out,
not guessed.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from training import selection

_HISTORY = 40  # steps drawn
_RECENT = 10  # steps whose mean time is the estimate
_BARS = "▁▂▃▄▅▆▇█"


class Shown(NamedTuple):
    """A name, verl's metric, and how its value is written."""

    name: str
    metric: str
    form: str


#: Reward is the mean over the batch's replies, `no gradient` the share of prompts all of whose replies got the same
#: (see `on_verl.sampler`), length is in tokens, KL against the stage's parent, entropy a token.
SHOWN = (
    Shown("reward", "critic/score/mean", ".3f"),
    Shown("accuracy", "reward/accuracy", ".3f"),
    Shown("format", "reward/format", ".3f"),
    Shown("no gradient", "reward/flat", ".0%"),
    Shown("length", "response_length/mean", ".1f"),
    Shown("KL", "actor/kl_loss", ".4f"),
    Shown("entropy", "actor/entropy", ".3f"),
    Shown("s/step", "timing_s/step", ".1f"),
)
#: What the supervised trainer reports in place of most of these.
_LOSS = Shown("loss", "train/loss", ".4f")
_ALL = (*SHOWN, _LOSS)
_VALIDATION = "timing_s/testing"


class View:
    """One stage of `total` steps, `reached` of them made before; `place` says which stage of the chain it is."""

    def __init__(self, stage: str, total: int, reached: int, place: str = "") -> None:
        self.stage, self.total, self.at, self.place = stage, total, reached, place
        self._begun = self._stepped = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._last: dict[str, float] = {}
        self._history: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_HISTORY))
        self._shown = {shown.name: shown for shown in _ALL}
        self._told: set[str] = set()  # by the last step
        self.looked = ""  # what the pixel canary said last

    @contextmanager
    def shown(self, console: Console) -> Iterator[None]:
        """Show the view on the console's terminal while the stage runs; elsewhere nothing but `line`s is printed."""
        if not console.is_terminal:
            yield
            return
        with Live(self, console=console, refresh_per_second=2, transient=True):
            yield

    def step(self, record: Mapping[str, Any]) -> None:
        """Take in one step as verl wrote it."""
        data = record["data"]
        self.at, self._stepped = record["step"], time.monotonic()
        for stage, metric in selection.validated(data).items():
            self._shown[f"held-out {stage}"] = Shown(f"held-out {stage}", metric, ".1%")
        told = {
            shown.name: float(data[shown.metric])
            for shown in self._shown.values()
            if data.get(shown.metric) is not None
        }
        self._told = set(told)
        self._last |= told
        for name, value in told.items():
            self._history[name].append(value)
        if (seconds := data.get("timing_s/step")) is not None:
            self._seconds.append(float(seconds) + float(data.get(_VALIDATION) or 0.0))

    @property
    def seconds_left(self) -> float | None:
        """An estimate of what the stage still takes; None before the first step."""
        return (self.total - self.at) * sum(self._seconds) / len(self._seconds) if self._seconds else None

    def line(self) -> str:
        """The last step in one line."""
        values = [f"{s.name} {self._last[s.name]:{s.form}}" for s in self._shown.values() if s.name in self._told]
        left = self.seconds_left
        values += [f"left {clock(left)}"] if left is not None and self.at < self.total else []
        return f"{self.stage}: step {self.at}/{self.total}  {'  '.join(values)}"

    def __rich__(self) -> RenderableType:
        now = time.monotonic()
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"{self.stage}{f' ({self.place})' if self.place else ''}", style="bold"),
            ProgressBar(total=self.total, completed=self.at, width=30),
            f"step {self.at} of {self.total}",
            f"{clock(now - self._begun)} so far",
            f"{clock(self.seconds_left)} left" if self.seconds_left is not None else "starting",
            f"last step {clock(now - self._stepped)} ago" if self._seconds else "",
        )
        body = Table.grid(padding=(0, 2))
        for shown in self._shown.values():
            if shown.name in self._last:
                drawn = spark(self._history[shown.name])
                body.add_row(f"  {shown.name}", Text(f"{self._last[shown.name]:{shown.form}}", justify="right"), drawn)
        return Group(head, body, Text(f"  {self.looked}")) if self.looked else Group(head, body)


def spark(values: "deque[float]") -> str:
    """The values as a row of bars between their own least and greatest."""
    finite = [value for value in values if value == value]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    width = (high - low) or 1.0
    return "".join(_BARS[min(int((value - low) / width * len(_BARS)), len(_BARS) - 1)] for value in finite)


def clock(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds or 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
