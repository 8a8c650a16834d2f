"""Progress of a stage while it trains: a live view on a terminal, one line per step elsewhere.

It shows verl 0.9.1's metrics and those of the rewards that `on_verl.sampler` adds; what has not been reported yet is
left out. The remaining time is estimated from the last steps.
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
    """A name, verl's metric, and the format of its value."""

    name: str
    metric: str
    form: str


#: Reward is the mean over the batch's replies, `no gradient` the share of prompts whose replies all have the same
#: reward (see `on_verl.sampler`), length is in tokens, KL is against the stage's parent, entropy is per token.
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
#: The supervised trainer reports its loss in place of most of these.
_ALL = (*SHOWN, Shown("loss", "train/loss", ".4f"))
_VALIDATION = "timing_s/testing"


class View:
    """A stage of `total` steps, `reached` of them made before; `place` is its position in the chain, as text."""

    def __init__(self, stage: str, total: int, reached: int, place: str = "") -> None:
        self.stage, self.total, self.at, self.place = stage, total, reached, place
        self._begun = self._stepped = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._last: dict[str, float] = {}
        self._history: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_HISTORY))
        self._shown = {shown.name: shown for shown in _ALL}
        self._reported: set[str] = set()  # by the last step
        self.looked = ""  # the pixel canary's last sentence

    @contextmanager
    def shown(self, console: Console) -> Iterator[None]:
        """Show the live view within a block if the console is a terminal; else do nothing."""
        if not console.is_terminal:
            yield
            return
        with Live(self, console=console, refresh_per_second=2, transient=True):
            yield

    def step(self, record: Mapping[str, Any]) -> None:
        """Add one step as verl wrote it."""
        data = record["data"]
        self.at, self._stepped = record["step"], time.monotonic()
        for stage, metric in selection.validated(data).items():
            self._shown[f"held-out {stage}"] = Shown(f"held-out {stage}", metric, ".1%")
        values = {
            shown.name: float(data[shown.metric])
            for shown in self._shown.values()
            if data.get(shown.metric) is not None
        }
        self._reported = set(values)
        self._last |= values
        for name, value in values.items():
            self._history[name].append(value)
        if (seconds := data.get("timing_s/step")) is not None:
            self._seconds.append(float(seconds) + float(data.get(_VALIDATION) or 0.0))

    @property
    def seconds_left(self) -> float | None:
        """The estimated remaining time of the stage; None before the first step."""
        return (self.total - self.at) * sum(self._seconds) / len(self._seconds) if self._seconds else None

    def line(self) -> str:
        """The last step in one line."""
        values = [f"{s.name} {self._last[s.name]:{s.form}}" for s in self._shown.values() if s.name in self._reported]
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
    """A sparkline of the values, scaled from their minimum to their maximum; NaN is left out."""
    finite = [value for value in values if value == value]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    width = (high - low) or 1.0
    return "".join(_BARS[min(int((value - low) / width * len(_BARS)), len(_BARS) - 1)] for value in finite)


def clock(seconds: float | None) -> str:
    """`seconds` as h:mm:ss."""
    whole = int(seconds or 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
