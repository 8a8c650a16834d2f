"""Push a sample as records: only what is not there yet, and a few at a time.

A record is put by its name, and noted once the server has it: a kill loses nothing and doubles nothing.
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
    """One record on a server; `shown` is `layout.shown` of its fields."""

    dataset: str
    external_id: str
    question_id: str
    version: str
    shown: str


def pushes(run: Run) -> Table[Pushed]:
    """The run's table `pushes`."""
    return run.table("pushes", Pushed)


def pushed(run: Run, dataset: str) -> dict[str, Pushed]:
    """External id -> record, of everything pushed to a dataset."""
    return {row.external_id: row for row in pushes(run).rows(pl.col("dataset") == dataset)}


#: Records of one request; with pictures of the usual size a few megabytes.
BATCH = 32
#: A request is cut before it has so many characters: a server reads it as a whole.
MOST_CHARACTERS = 16_000_000
_READERS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a push shall see to on the server beside the records."""

    overlap: int = 1
    create_workspace: bool = False
    annotators: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What a push did: records new and known before, pictures that could not be read, people made."""

    dataset: str = ""
    new: int = 0
    known: int = 0
    unreadable: int = 0
    overlap: int = 1
    accounts: tuple[Account, ...] = ()


def dataset_name(recipe: Recipe) -> str:
    """The run's name as Argilla takes it."""
    return recipe.name.replace(".", "-")


def push(run: Run, recipe: Recipe, sample: Sample, at: Connection, wanted: Wanted, display: Display) -> Report:
    """Put the sample's questions on the server; the caller holds the run for writing.

    Raises:
        ReviewError: the server cannot be used; what it has taken so far stays, and the same call goes on from there.
    """
    section = recipe.review
    at.ensure_workspace(section.workspace, wanted.create_workspace)
    accounts = tuple(at.ensure_annotators(section.workspace, wanted.annotators))
    name = dataset_name(recipe)
    there = at.find(section.workspace, name)
    if there is None:
        there = at.create(section.workspace, name, layout.told(section, *_kinds(run, sample)), wanted.overlap)
    report = Report(name, overlap=there.overlap, accounts=accounts)
    known = pushed(run, there.id)
    todo = _missing(entries(run, recipe, sample), known, report)
    with display.step("review, push", len(sample.drawn)) as advance:
        advance_known = 0
        for batch in _requests(todo, recipe, gather.folders(run, recipe), there, report):
            at.call("PUT", f"datasets/{there.id}/records/bulk", json={"items": [made for _, made in batch]})
            pushes(run).append(_row(there, entry, made) for entry, made in batch)
            report.new += len(batch)
            advance(len(batch) + report.known - advance_known)
            advance_known = report.known
        advance(report.known - advance_known)
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
    """Records in batches that one request may hold; the next batch's pictures are read while one is being sent."""

    def made(entry: Entry) -> tuple[Entry, dict[str, Any], bool]:
        found, lost = _picture(entry, folders)
        return entry, layout.record(entry, recipe.review, found, there.questions), lost

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


def _picture(entry: Entry, folders: Mapping[str, Path]) -> tuple[images.Picture | None, bool]:
    """The picture, and whether there should be one and is not."""
    if not entry.question.image_path:
        return None, False
    try:
        return images.picture(folders[entry.question.stage], entry.question.image_path), False
    except (ImageProblem, KeyError):
        return None, True


def _row(there: Dataset, entry: Entry, made: Mapping[str, Any]) -> Pushed:
    key = entry.question.question_id
    return Pushed(there.id, made["external_id"], key, entry.version, layout.shown(made["fields"]))
