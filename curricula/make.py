"""Put a run's rows into orders on disk, each only when it is not there already.

`order.json` says how an order came about and is what makes it complete: a folder without it is written again. A set
that another order of the run already holds is linked, not copied, since shards never change.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.files.unfinished import exchange, removed_if_it_fails
from capcurriculum.ledger.corrections import corrections
from capcurriculum.ledger.verdicts import check_judged
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from capcurriculum.run import Run, writing
from curricula import order_file, store
from curricula.keys import Indices, Keys
from curricula.keys import keys as read_keys
from curricula.order import OrderedSet, arrange
from curricula.split import SPLITS
from curricula.stage_rows import Content, StageRows
from curricula.write import write_split
from datagen.sources import gather
from filters import pipeline

#: What a build writes whatever the recipe says, and what training reads by default.
STAGES = OrderSection(order="capability_x_difficulty")
#: Splits written at the same time; each holds a row group of pictures in memory.
_WRITERS = 2


def folder_of(run: Run, order: OrderSection) -> Path:
    """Where an order lies: the plain one in `stages/`, every other below `curricula/`."""
    return run.stages if order == STAGES else run.path / "curricula" / order.folder


def sets(run: Run, order: str = "") -> list[tuple[str, Path]]:
    """(name, folder) of an order's sets as they are trained one after the other; no name means the plain stages.

    Raises:
        RunError: the run does not have the order.
    """
    folder = run.path / "curricula" / order if order else run.stages
    found = order_file.read(folder) if not order or folder in order_file.folders(run) else None
    if found:
        return [(one["name"], folder / one["name"]) for one in found["sets"]]
    if not order and (stages := [(str(stage), folder / stage) for stage in Stage if (folder / stage).is_dir()]):
        return stages  # of a build from before there was an order.json
    there = [path.name for path in order_file.folders(run)[1:] if order_file.read(path)]
    raise RunError(
        f"The run {run.path} has no order {order or 'of its stages'} (it has {', '.join(there) or 'none'}); "
        f"`capcurriculum curriculum {run.path} --order ...` makes one."
    )


def curriculum(recipe: Recipe, order: OrderSection, display: Display) -> Path:
    """Write one order of a built run, asking no model; returns its folder. Does nothing when nothing changed.

    Raises:
        RunError: a stage has no rows, the run was not built with the recipe's filters, or another process is writing
            it.
        RecipeError: the order wants what the run does not have.
        SourceError: a picture is gone.
    """
    before = Run(recipe.run_dir)
    if before.questions.shards() and not before.reviews.shards():
        check_judged(before, recipe)  # while the run still keeps the recipe that it was built with
    with writing(recipe) as run:
        pipeline.judge_again(run, recipe)
        check_judged(run, recipe)
        write_orders(run, recipe, [order], display)
        return folder_of(run, order)


def write_orders(run: Run, recipe: Recipe, orders: Sequence[OrderSection], display: Display) -> None:
    """Write those of the orders that are not there as the run's rows of today would have them."""
    found = read_keys(run, recipe)
    wanted = {folder_of(run, order): (order, arrange(order, found, recipe.seed)) for order in orders}
    about = {folder: order_file.describe(order, made, found, recipe) for folder, (order, made) in wanted.items()}
    todo = [folder for folder in wanted if not order_file.complete(folder, about[folder])]
    if todo:
        with store.opened(run, found, run.path / "curricula" / ".tmp-rows", corrections(run, recipe)) as rows:
            content = StageRows(rows, found, gather.folders(run, recipe), recipe.rollouts.k)
            for folder in todo:
                write_order(run, folder, wanted[folder][1], found, about[folder], content)
    for folder, (_, made) in wanted.items():
        for ordered in made:
            display.note(f"{folder.name}/{ordered.name}: {sum(map(len, ordered.rows))} rows")


def outdated(run: Run, recipe: Recipe) -> list[str]:
    """The orders of the run that are no longer what its tables say, for example since people reviewed its questions.

    Named as `capcurriculum curriculum --order` takes them, "" for the stages.

    Raises:
        RunError: a stage has no rows, or a table is damaged.
    """
    check_judged(run, recipe)
    found = read_keys(run, recipe)
    names = []
    for folder in order_file.folders(run):
        if (there := order_file.read(folder)) and not _current(folder, there, found, recipe):
            names.append("" if folder == run.stages else folder.name)
    return names


def belongs(run: Run, recipe: Recipe, folder: Path) -> bool:
    """Whether the files in an order's folder are what the recipe makes of the run's tables today.

    True for a run without tables, which was brought here as it is and belongs to no recipe.

    Raises:
        RunError: the run was not built with the recipe's filters, or a stage has no rows.
    """
    if not run.questions.shards():
        return True
    check_judged(run, recipe)
    there = order_file.read(folder)
    return there is not None and _current(folder, there, read_keys(run, recipe), recipe)


def check_belongs(run: Run, recipe: Recipe, folder: Path) -> None:
    """See that an order's files, if any are there, are those that the recipe makes of the run.

    Raises:
        RunError: they are not; what `belongs` raises.
    """
    if order_file.read(folder) is not None and not belongs(run, recipe, folder):
        raise RunError(
            f"{foreign(folder)}; run `capcurriculum build` with this recipe first, or name the recipe that the run was "
            f"built with."
        )


def foreign(folder: Path) -> str:
    """What is said of files that a recipe does not make, without an end."""
    return (
        f"The rows in {folder} are not those that this recipe makes of the run: its filters, split or seed differ from "
        f"those that the run was built with, or people have reviewed it since"
    )


def _current(folder: Path, there: Mapping[str, Any], found: Keys, recipe: Recipe) -> bool:
    try:
        order = OrderSection.model_validate(there["order"])
    except ValidationError:  # of another version, or of another hand
        return False
    return order_file.complete(folder, order_file.describe(order, arrange(order, found, recipe.seed), found, recipe))


def write_order(
    run: Run, folder: Path, ordered: Sequence[OrderedSet], keys: Keys, about: Mapping[str, Any], content: Content
) -> None:
    """Write an order's sets and its `order.json` into a temporary folder, which then takes the place of `folder`."""
    temporary = run.path / "curricula" / f".tmp-{folder.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    known = order_file.known(run)
    jobs: list[tuple[Indices, Path, str]] = []
    with removed_if_it_fails(temporary):
        for one, said in zip(ordered, about["sets"], strict=True):
            (temporary / one.name).mkdir(parents=True)
            if not _linked(known.get(said["digest"]), temporary / one.name):
                jobs += [(rows, temporary / one.name, split) for rows, split in zip(one.rows, SPLITS, strict=True)]
        _write_all(jobs, content)
        with (temporary / order_file.LISTING).open("w+b") as file:
            order_file.listing(list(ordered), keys).write_parquet(file)
            checksums.seal(file)
        order_file.write(temporary, dict(about), run)
        _replace(temporary, folder)


def _linked(source: Path | None, folder: Path) -> bool:
    """Whether `folder` now holds the files of a set that lies elsewhere in the run."""
    try:
        files = sorted(source.glob("*.parquet")) if source else []
        checksums.check(files)
        for path in files:
            os.link(path, folder / path.name)
    except (OSError, RunError):  # this file system has no hard links, or a file is damaged and is not passed on
        for path in folder.iterdir():
            path.unlink()
    return any(folder.iterdir())


@dataclass(frozen=True, slots=True)
class _Stoppable:
    """Content whose other writers end when one fails or the user interrupts."""

    content: Content
    stop: Event = field(default_factory=Event)

    @property
    def schema(self) -> pa.Schema:
        return self.content.schema

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]:
        for group in self.content.groups(rows, split):
            if self.stop.is_set():
                raise InterruptedError("another writer failed")
            yield group


def _write_all(jobs: Sequence[tuple[Indices, Path, str]], content: Content) -> None:
    guarded = _Stoppable(content)
    with ThreadPoolExecutor(_WRITERS) as pool:
        longest_first = sorted(jobs, key=lambda job: -len(job[0]))
        writers = [pool.submit(write_split, rows, guarded, folder, split) for rows, folder, split in longest_first]
        try:
            for writer in wait(writers, return_when=FIRST_EXCEPTION).done:
                writer.result()
        except BaseException:
            guarded.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _replace(temporary: Path, folder: Path) -> None:
    """Put the new folder in the old one's place; a kill -9 in between leaves no order, and the next call writes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    exchange(temporary, folder, temporary.with_name(f".tmp-old-{folder.name}"))
