"""Outcomes of a model's replies in one step: how many failed, and whether the step should stop because all do.

A reply fails where the engine has none, where it is empty or nothing but thoughts, and where a teacher's cannot be used
and asking again does not help. A truncated reply is no failure, since the model does reply, except a teacher's: it
counts as unknown, and a step most of whose replies are truncated says so instead of stopping.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import astuple, dataclass, replace
from operator import add, sub
from shlex import quote
from typing import Any, Literal

from capcurriculum.errors import EngineError
from capcurriculum.render.progress import TELLING_SECONDS
from capcurriculum.render.terminal import visible
from capcurriculum.rows import Request, Response
from capcurriculum.run import Run
from datagen.asking.streaks import ENOUGH, SUBJECTS, Streak
from datagen.engines.protocol import Traffic

_LONGEST_REASON = 240
MEND = "mend its server, or what the recipe says of it"
#: Sampling is part of what a run is known by, and a fork takes over what was read.
MORE_TOKENS = "raise max_tokens in the step's sampling and go on by `build --fork NAME`"


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of replies by outcome.

    `retried` counts requests that were sent again, and a teacher's replies that were refused and are asked for again;
    `unreadable` a judge's votes that are none.
    """

    replies: int = 0
    failed: int = 0
    empty: int = 0
    retried: int = 0
    cut_off: int = 0
    unreadable: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*map(sub, astuple(self), astuple(other)))

    @property
    def words(self) -> str:
        """The text of a progress line; empty where all is well."""
        named = ((self.failed, "failed"), (self.empty, "empty"), (self.retried, "retried"), (self.cut_off, "cut off"),
                 (self.unreadable, "unreadable"))  # fmt: skip
        return ", ".join(f"{number:,} {what}" for number, what in named if number)

    def closing(self, name: str, look: str, first: str = "", more_tokens: str = MORE_TOKENS) -> list[str]:
        """Sentences for the end of a step; `look` says where all reasons can be read."""
        lines, nothing = [], self.failed + self.empty
        if nothing:
            reason = f" (the first: {shown(first)})" if first else ""
            lines.append(f"{name}: {nothing:,} of {self.replies:,} replies brought nothing{reason}; {look}")
        if self.cut_off and 2 * self.cut_off >= self.replies:
            lines.append(
                f"{name}: {self.cut_off:,} of {self.replies:,} replies were cut off at max_tokens and count as "
                f"unknown; to have fewer, {more_tokens}."
            )
        return lines


@dataclass(frozen=True, slots=True)
class Reading:
    """The outcome of one reply.

    `why` it cannot be used ("" if it can), the `mend` where `why` does not say it, and `what` it is counted as. A reply
    that does not `count` says nothing about the next ones. `about` is the image or prompt that it is about, by default
    what the request shows. Reasons with the same `alike` are taken for one.
    """

    why: str = ""
    what: Literal["", "failed", "empty", "retried", "cut_off", "unreadable"] = ""
    mend: str = ""
    counts: bool = True
    about: Hashable = None
    alike: str = ""


#: Item, response and row -> the outcome.
Read = Callable[[Any, Response, Any], Reading]


def shown(words: str) -> str:
    """Untrusted text on one line, short and safe to print."""
    text = visible(" ".join(words.split()))
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."


def plainly(_item: object, response: Response, _row: object) -> Reading:
    """The outcome where any text is a usable reply."""
    if response.finish == "error":
        return Reading(response.error or "it gave no reason", "failed", MEND)
    if response.finish == "length":
        return Reading(what="cut_off")
    if response.error:
        return Reading(response.error, "empty")
    if not response.text.strip():
        return Reading("the reply is empty", "empty", "check the chat template that it is served with")
    return Reading()


def look(run: Run, table: str) -> str:
    """The command that lists the reasons of all failed replies."""
    what = {
        "attempts": "problem, count(*) from attempts where problem <> '' group by all",
        "descriptions": "image_id, finish from descriptions where text = ''",
        "answers": "outcome, detail, count(*) from answers where outcome in ('failed', 'unparsed') group by all",
    }[table]
    return f'all reasons: capcurriculum query {quote(str(run.path))} "select {what}"'


class Heard:
    """Outcomes of one model's replies in one step of this process, over all its calls of `ask_missing`.

    `model` is its name in sentences, `look` says where reasons can be read. A step that is `proven` has had usable
    replies in an earlier process and is not stopped.
    """

    #: See `streaks`.
    enough, subjects = ENOUGH, SUBJECTS
    more_tokens = MORE_TOKENS

    def __init__(self, step: str, model: str, look: str, read: Read = plainly, *, proven: bool = False) -> None:
        self.step, self.model, self.look = step, model, look
        self._read = read
        self._counts = self._before = Counts()
        self._traffic = Traffic()
        self._first = ""
        self._begun = self._last = time.monotonic()
        self._written = 0
        # A server may take prompts and refuse every image, so the two are counted apart.
        self._streaks = {
            seeing: Streak(open=not proven, enough=self.enough, subjects=self.subjects) for seeing in (False, True)
        }
        self._cut = Streak()

    def begin(self, traffic: Traffic) -> None:
        """The step asks (again), through an engine with this traffic: `words` and `closing` count from here."""
        self._traffic, self._first = traffic, ""
        self._before, self._written = self.total, 0
        self._begun = self._last = time.monotonic()

    @property
    def total(self) -> Counts:
        """All that was counted, with all that the engine sent again."""
        return replace(self._counts, retried=self._counts.retried + self._traffic.retries)

    def words(self) -> str:
        """The tokens a second that the model wrote up to its last reply, and what `Counts.words` says."""
        seconds = self._last - self._begun
        speed = f"{self._written / seconds:,.0f} tokens/s" if self._written and seconds >= TELLING_SECONDS else ""
        return ", ".join(filter(None, (speed, (self.total - self._before).words)))

    def closing(self, name: str) -> list[str]:
        """See `Counts.closing`."""
        return (self.total - self._before).closing(name, self.look, self._first, self.more_tokens)

    def undecided(self, request: Request) -> bool:
        """Whether all replies to requests of this kind may yet turn out to be in vain."""
        return self._streaks[bool(request.image_paths)].open

    def note(self, item: object, request: Request, response: Response, row: object) -> Reading:
        """Count a reply.

        Raises:
            EngineError: it is the last one that was needed to tell that asking on is in vain.
        """
        reading = self._read(item, response, row)
        self._count(reading)
        self._written, self._last = self._written + response.tokens_out, time.monotonic()
        subject = reading.about or request.image_paths or request.messages
        streak = self._streaks[bool(request.image_paths)]
        if not reading.why:
            streak.end()
        elif reading.counts and streak.add(reading.alike or reading.why, subject):
            raise EngineError(self.in_vain(reading, streak.count, seeing=bool(request.image_paths)))
        return reading

    def all_cut_off(self, request: Request, reading: Reading) -> str:
        """A sentence, once, when enough of the first replies are here and each was cut off."""
        if reading.what != "cut_off":
            self._cut.end()
        elif self._cut.add("cut off", request.image_paths or request.messages):
            self._cut.end()
            return (
                f"{self.step}, {self.model}: each of the first {self._cut.count} replies was cut off at max_tokens and "
                f"counts as unknown; let it go on, or stop here and {self.more_tokens}."
            )
        return ""

    def _count(self, reading: Reading) -> None:
        more = {"replies": 1} | ({reading.what: 1} if reading.what else {})
        self._counts += Counts(**more)
        if reading.what in ("failed", "empty"):
            self._first = self._first or reading.why

    def in_vain(self, reading: Reading, count: int, *, seeing: bool) -> str:
        """The sentence to stop with after `count` replies, of which `reading` is the last."""
        mend = reading.mend
        if reading.what == "failed" and seeing:
            mend = "these requests show images: name a model that sees them, or " + mend
        mend = f"; {mend}" if mend else ""
        return (
            f"The model {self.model} brought nothing in its first {count} replies of the step {self.step}, each for "
            f"the same reason: {shown(reading.why).removesuffix('.')}{mend}. Then run the same command again: what was "
            "answered before is kept, and these are asked again."
        )
