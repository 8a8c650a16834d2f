"""Push the missing records of a sample to Argilla, in batches.

Records are upserted by external id and noted in the table `pushes` after each response, so a killed push resumes.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from capcurriculum.tables import Table
from datagen.batched import windows
from datagen.image_decoding import ImageProblem
from datagen.sources import gather
from review import images
from review.argilla import layout
from review.argilla.connection import Account, Connection, Dataset
from review.entries import Entry, entries
from review.sample import Sample


@dataclass(frozen=True, slots=True)
class Pushed:
    """A record on a server; `shown` is the digest `layout.shown` of its fields."""

    dataset: str
    external_id: str
    question_id: str
    version: str
    shown: str


def pushes(run: Run) -> Table[Pushed]:
    """The run's table of pushed records."""
    return run.table("pushes", Pushed)


def pushed(run: Run, dataset: str) -> dict[str, Pushed]:
    """External id -> record, for all records pushed to a dataset."""
    return {row.external_id: row for row in pushes(run).rows(pl.col("dataset") == dataset)}


#: Records of one request; with images of the usual size a few megabytes.
BATCH = 32
#: Characters of one request, which the server reads at once.
MOST_CHARACTERS = 16_000_000
_READERS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Options of a push: responses for each record, and whether to create the workspace and these annotators."""

    overlap: int = 1
    create_workspace: bool = False
    annotators: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """Counts of a push: records `new` and `known` before, those with an `unreadable` image; and the new accounts."""

    dataset: str = ""
    new: int = 0
    known: int = 0
    unreadable: int = 0
    overlap: int = 1
    accounts: tuple[Account, ...] = ()

    def lines(self, url: str, wanted: Wanted) -> Iterator[str]:
        """The report as text."""
        known = f", {self.known} were there before" if self.known else ""
        yield f"{self.new} records are new in {self.dataset} on {url}{known}."
        if self.unreadable:
            yield f"{self.unreadable} have no image, because it cannot be read."
        if self.overlap != wanted.overlap:
            yield f"Each needs {self.overlap} answers, as the dataset was made; Argilla's settings page changes that."
        for account in self.accounts:
            yield f"{account.username} can sign in with the password {account.password}, which is shown this once."


def dataset_name(recipe: Recipe) -> str:
    """The run's name without dots, which Argilla refuses."""
    return recipe.name.replace(".", "-")


def push(run: Run, recipe: Recipe, sample: Sample, at: Connection, wanted: Wanted, display: Display) -> Report:
    """Push the sample's questions; the caller holds the run's lock for writing.

    Raises:
        ReviewError: the server refuses or fails; records pushed so far stay, and a second call resumes.
    """
    section = recipe.review
    at.ensure_workspace(section.workspace, wanted.create_workspace)
    accounts = tuple(at.ensure_annotators(section.workspace, wanted.annotators))
    name = dataset_name(recipe)
    there = at.find(section.workspace, name)
    if there is None:
        there = at.create(section.workspace, name, layout.dataset_layout(section, *_kinds(run, sample)), wanted.overlap)
    report = Report(name, overlap=there.overlap, accounts=accounts)
    known = pushed(run, there.id)
    todo = _missing(entries(run, recipe, sample), known, report)
    with display.step("review, push", len(sample.drawn)) as advance:
        done = 0
        for batch in _requests(todo, recipe, gather.folders(run, recipe), there, report):
            at.call("PUT", f"datasets/{there.id}/records/bulk", json={"items": [record for _, record in batch]})
            pushes(run).append(
                Pushed(there.id, r["external_id"], e.question.question_id, e.version, layout.shown(r["fields"]))
                for e, r in batch
            )
            report.new += len(batch)
            advance(report.new + report.known - done)
            done = report.new + report.known
        advance(report.new + report.known - done)
    run.event("review pushed", dataset=there.id, new=report.new, known=report.known)
    return report


def _kinds(run: Run, sample: Sample) -> tuple[bool, bool]:
    """Whether some questions of the sample's stages have options, and whether some have none."""
    stages = {drawn.stage for drawn in sample.drawn}
    asked = run.questions.scan().filter(pl.col("stage").is_in(list(stages)))
    found = asked.select(some=(pl.col("options").list.len() > 0).any(), none=(pl.col("options").list.len() == 0).any())
    some, none = found.collect().row(0)
    return bool(some), bool(none)


def _missing(found: Iterator[Entry], known: Mapping[str, Pushed], report: Report) -> Iterator[Entry]:
    for entry in found:
        if layout.external_id(entry.question.question_id, entry.version) in known:
            report.known += 1
        else:
            yield entry


def _requests(
    todo: Iterator[Entry], recipe: Recipe, folders: Mapping[str, Path], there: Dataset, report: Report
) -> Iterator[list[tuple[Entry, dict[str, Any]]]]:
    """Records in batches of one request; the images of the next batch are read while one is being sent."""

    def made(entry: Entry) -> tuple[Entry, dict[str, Any], bool]:
        image, lost = None, False
        if entry.question.image_path:
            try:
                image = images.picture(folders[entry.question.stage], entry.question.image_path)
            except (ImageProblem, KeyError):
                lost = True
        return entry, layout.record(entry, recipe.review, image, there.questions), lost

    with ThreadPoolExecutor(_READERS) as pool:
        ahead: list[Any] = []
        for window in windows(todo, BATCH):
            ready, ahead = ahead, [pool.submit(made, entry) for entry in window]
            yield from _cut([one.result() for one in ready], report)
        yield from _cut([one.result() for one in ahead], report)


def _cut(
    made: Sequence[tuple[Entry, dict[str, Any], bool]], report: Report
) -> Iterator[list[tuple[Entry, dict[str, Any]]]]:
    part: list[tuple[Entry, dict[str, Any]]] = []
    size = 0
    for entry, record, lost in made:
        report.unreadable += lost
        length = sum(map(len, record["fields"].values()))
        if part and size + length > MOST_CHARACTERS:
            yield part
            part, size = [], 0
        part.append((entry, record))
        size += length
    if part:
        yield part
