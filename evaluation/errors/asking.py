"""Ask judges for missing votes through any engine of a recipe; votes are journaled as they arrive."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import journal
from capcurriculum.recipe.auditor import identity
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import SCHEMA, Request, Response, Sampling, digest
from capcurriculum.run import Run
from capcurriculum.tables import Table
from datagen import engines
from datagen.asking.ask_missing import Line, ask_missing
from datagen.asking.meter import Meter
from datagen.asking.outcomes import Heard, Reading, plainly, shown
from datagen.image_decoding import ImageProblem
from evaluation.errors import protocol, votes
from evaluation.errors.cases import Case
from evaluation.errors.votes import Vote

STEP = "judge errors"


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge: its name in the command, its model, and its sampling."""

    called: str
    model: ModelSection
    sampling: Sampling

    @property
    def name(self) -> str:
        """The name in the table of votes, with a digest of all that can change a vote."""
        parts = (protocol.version(), identity(self.model), self.sampling.json())
        return f"{self.called}/{digest(SCHEMA, 'error judge', *parts)[:8]}"


@dataclass(frozen=True, slots=True)
class Item:
    """The vote of a judge on a case, by its number."""

    case: Case
    vote: int


class Votes(Heard):
    """Outcomes of a judge's votes: after a dozen none of which can be read, for whatever reason, it asks no further."""

    enough, subjects = 12, 4

    def __init__(self, folder: Path, judge: Judge, *, proven: bool) -> None:
        look = f"the column detail of {votes.table(folder).folder} has all reasons"
        super().__init__(STEP, f"{judge.called} ({judge.model.model})", look, _read, proven=proven)
        self.more_tokens = f"raise --max-tokens (now {judge.sampling.max_tokens:,})"

    def in_vain(self, reading: Reading, count: int, *, seeing: bool) -> str:
        """What to change."""
        if reading.alike != _UNREADABLE:
            return super().in_vain(reading, count, seeing=seeing)
        mend = "name" if reading.what == "unreadable" else f"{self.more_tokens} or name"
        return (
            f"None of the first {count} votes of the judge {self.model} could be read (the last: "
            f"{shown(reading.why).removesuffix('.')}); {mend} another --judge, and try it with --votes 1 --size "
            f"{count} first. Votes that were read before are kept, and these are asked for again."
        )


_UNREADABLE = "unreadable"


def _read(item: Item, response: Response, vote: Vote) -> Reading:
    plain = plainly(item, response, vote)
    if vote.kind or vote.failed:
        return plain
    return Reading(vote.detail, plain.what or "unreadable", about=item.case.key, alike=_UNREADABLE)


class Job:
    """The votes of one judge in the analysis folder `folder`, as an `ask_missing.Job`; images lie below `images`."""

    def __init__(self, folder: Path, judge: Judge, images: Path) -> None:
        """Read the known votes."""
        self.judge, self.images = judge, images
        self.folder = folder
        journal.take_over(self.table)
        known = votes.known(folder, [judge.name])
        self._known = {key for key, vote in known.items() if not vote.failed}
        # Votes that failed before are asked for again, and may well fail again although all others succeed.
        self.heard = Votes(folder, judge, proven=any(vote.kind for vote in known.values()))

    def done(self, item: Item) -> bool:
        """Whether the vote is known."""
        return (item.case.key, self.judge.name, item.vote) in self._known

    def request(self, item: Item) -> Request:
        """The request for a vote; raises `ImageProblem` where an image cannot be read."""
        return protocol.request(item.case, item.vote, self.judge.model.model, self.judge.sampling, self.images)

    def row(self, item: Item, response: Response) -> Vote:
        """The vote."""
        parsed = protocol.parse(response, bool(item.case.sample.images))
        spent = (response.tokens_in, response.tokens_out, response.key)
        return Vote(item.case.key, self.judge.name, item.vote, *parsed, response.finish, *spent)

    @property
    def table(self) -> Table[Vote]:
        """Where the rows go."""
        return votes.table(self.folder)


def ask(folder: Path, judge: Judge, cases: Sequence[Case], count: int, images: Path, display: Display) -> list[Case]:
    """Have a judge vote `count` times on every case; returns the cases whose image cannot be read, which are left out.

    Raises:
        EngineError: the judge cannot be used, or none of its first dozen votes can be read; votes so far are kept.
    """
    job = Job(folder, judge, images)
    shown, lost = [], []
    for case in cases:
        try:
            job.request(Item(case, 0))
            shown.append(case)
        except ImageProblem:
            lost.append(case)
    items = [Item(case, vote) for case in shown for vote in range(count)]
    before = sum(map(job.done, items))
    if before < len(items):
        line = Line(display, f"{STEP}, {judge.name}", len(items), before)
        with engines.create(judge.model) as engine:
            ask_missing(items, job, engine, Meter(Run(folder), STEP, judge.name, engine.traffic), line)
    return lost
