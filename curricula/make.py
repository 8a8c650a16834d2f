"""Write orders of a run's rows to disk, each only if it is missing or outdated.

An order is complete once its folder has an `order.json`. A set that another order of the run holds is hard-linked,
since shards are immutable.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from capcurriculum.did_you_mean import meant
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

#: The order of every build, which training reads by default.
STAGES = OrderSection(order="capability_x_difficulty")
#: Splits written concurrently; each holds one row group of images in memory.
_WRITERS = 2


def folder_of(run: Run, order: OrderSection) -> Path:
    """The folder of an order: `stages/` for the default one, else below `curricula/`."""
    return run.stages if order == STAGES else run.path / "curricula" / order.folder


def sets(run: Run, order: str = "") -> list[tuple[str, Path]]:
    """(name, folder) of an order's sets as they are trained one after the other; default: the plain stages.

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
        f"The run {run.path} has no order {order or 'of its stages'}{meant(order, there)}; it has "
        f"{', '.join(there) or 'none'}, and "
        f"`capcurriculum curriculum {run.path} --order ...` makes one."
    )


def curriculum(recipe: Recipe, order: OrderSection, display: Display) -> Path:
    """Write one order of a built run, unless it is current, and return its folder; asks no model.

    Raises:
        RunError: a stage has no rows, the run was not built with the recipe's filters, or another process writes it.
        RecipeError: the order names stages or labels that the run does not have.
        SourceError: an image is missing.
    """
    before = Run(recipe.run_dir)
    if before.questions.shards() and not before.reviews.shards():
        check_judged(before, recipe)  # before `writing` replaces the recipe that the run was built with
    with writing(recipe) as run:
        pipeline.judge_again(run, recipe)
        check_judged(run, recipe)
        write_orders(run, recipe, [order], display)
        return folder_of(run, order)


def write_orders(run: Run, recipe: Recipe, orders: Sequence[OrderSection], display: Display) -> None:
    """Write the orders that are missing or outdated."""
    found = read_keys(run, recipe, weighed=any(order.take < 1 for order in orders))
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
    """Names of the run's orders that differ from its tables, for example after a review; "" for the stages.

    Raises:
        RunError: a stage has no rows, or a table is damaged.
    """
    check_judged(run, recipe)
    found = read_keys(run, recipe, weighed=True)
    there = [(folder, about) for folder in order_file.folders(run) if (about := order_file.read(folder))]
    old = [folder for folder, about in there if not _current(folder, about, found, recipe)]
    return ["" if folder == run.stages else folder.name for folder in old]


def belongs(run: Run, recipe: Recipe, folder: Path) -> bool:
    """Whether an order's files are those that the recipe makes of the run's tables; True for a run without tables.

    Raises:
        RunError: the run was not built with the recipe's filters, or a stage has no rows.
    """
    if not run.questions.shards():
        return True
    check_judged(run, recipe)
    there = order_file.read(folder)
    return there is not None and _current(folder, there, read_keys(run, recipe, weighed=True), recipe)


def check_belongs(run: Run, recipe: Recipe, folder: Path) -> None:
    """Check that an order's files, if there are any, are those that the recipe makes of the run.

    Raises:
        RunError: they are not, or `belongs` raises it.
    """
    if order_file.read(folder) is not None and not belongs(run, recipe, folder):
        raise RunError(
            f"{foreign(folder)}; run `capcurriculum build` with this recipe first, or name the recipe that the run was "
            f"built with."
        )


def foreign(folder: Path) -> str:
    """The beginning of an error about files that belong to another recipe."""
    return (
        f"The rows in {folder} are not those that this recipe makes of the run: its filters, split or seed differ from "
        f"those that the run was built with, or people have reviewed it since"
    )


def _current(folder: Path, there: Mapping[str, Any], found: Keys, recipe: Recipe) -> bool:
    try:
        order = OrderSection.model_validate(there["order"])
    except ValidationError:  # written by another version, or edited
        return False
    return order_file.complete(folder, order_file.describe(order, arrange(order, found, recipe.seed), found, recipe))


def write_order(
    run: Run, folder: Path, ordered: Sequence[OrderedSet], keys: Keys, about: Mapping[str, Any], content: Content
) -> None:
    """Write an order's sets and its `order.json` into a temporary folder that then replaces `folder`."""
    temporary = run.path / "curricula" / f".tmp-{folder.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    known = order_file.known(run)
    jobs: list[tuple[Indices, Path, str]] = []
    with removed_if_it_fails(temporary):
        for one, entry in zip(ordered, about["sets"], strict=True):
            (temporary / one.name).mkdir(parents=True)
            if not _linked(known.get(entry["digest"]), temporary / one.name):
                jobs += [(rows, temporary / one.name, split) for rows, split in zip(one.rows, SPLITS, strict=True)]
        _write_all(jobs, content)
        with (temporary / order_file.LISTING).open("w+b") as file:
            order_file.listing(list(ordered), keys).write_parquet(file)
            checksums.seal(file)
        order_file.write(temporary, dict(about), run)
        folder.parent.mkdir(parents=True, exist_ok=True)
        exchange(temporary, folder, temporary.with_name(f".tmp-old-{folder.name}"))


def _linked(source: Path | None, folder: Path) -> bool:
    """Hard-link a set of another order into `folder`; False, with `folder` empty, if that is impossible."""
    try:
        files = sorted(source.glob("*.parquet")) if source else []
        checksums.check(files)
        for path in files:
            os.link(path, folder / path.name)
    except (OSError, RunError):  # no hard links on this file system, or a damaged file
        for path in folder.iterdir():
            path.unlink()
    return any(folder.iterdir())


def _write_all(jobs: Sequence[tuple[Indices, Path, str]], content: Content) -> None:
    """Write splits concurrently; all end when one fails or the user interrupts."""
    stop = Event()

    def groups(rows: Indices, split: str) -> Iterator[pa.Table]:
        for group in content.groups(rows, split):
            if stop.is_set():
                raise InterruptedError("another writer failed")
            yield group

    with ThreadPoolExecutor(_WRITERS) as pool:
        longest_first = sorted(jobs, key=lambda job: -len(job[0]))
        writers = [
            pool.submit(write_split, groups(rows, split), content.schema, folder, split)
            for rows, folder, split in longest_first
        ]
        try:
            for writer in wait(writers, return_when=FIRST_EXCEPTION).done:
                writer.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
