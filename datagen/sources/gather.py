"""Read every source of a recipe into the run's tables: captions, problems, and a verdict on every record.

Rows are appended in small shards while the source is read, so memory does not grow with it and a killed build goes on
behind the last shard.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.render.progress import Advance, Display
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from capcurriculum.run import Run, stage_of_caption
from datagen.batched import windows
from datagen.setting import Setting
from datagen.sources import counting, fingerprints, manifest, registry
from datagen.sources.datasets import docci
from datagen.sources.images.image_paths import Place, link
from datagen.sources.images.store import Store
from datagen.sources.losses import Losses
from datagen.sources.source import FILTER

FLUSH_ROWS = 256


def sections(recipe: Recipe) -> dict[str, tuple[SourceSection, ...]]:
    """The stages a recipe has, with their sources."""
    return {stage: section.all_sources for stage, section in recipe.stages.items()}


def folders(run: Run, recipe: Recipe) -> dict[str, Path]:
    """Stage -> the folder that image paths of the stage's rows are relative to; see `images.image_paths`."""
    return {stage: _base(run, stage, found) for stage, found in sections(recipe).items()}


def setting(run: Run, recipe: Recipe, display: Display | None = None) -> Setting:
    """The context of a build of the recipe in this run."""
    return Setting(run, recipe, folders(run, recipe), display or Display())


def _base(run: Run, stage: str, found: Sequence[SourceSection]) -> Path:
    """The one source's own folder where its images are plain files there, else the run."""
    if len(found) == 1 and _is_plain(found[0]):
        return _world(run, stage, found, 0) if found[0].kind == "scenes" else Path(found[0].path)
    return run.path


def _is_plain(section: SourceSection) -> bool:
    """Whether a source is a folder of plain image files, which can be the base of its rows' image paths."""
    if section.kind == "docci":
        return bool(section.path) and not section.files and docci.is_release(Path(section.path))
    return section.kind == "scenes" or (section.kind == "problems" and bool(section.path) and section.columns is None)


def _world(run: Run, stage: str, found: Sequence[SourceSection], number: int) -> Path:
    return run.path / "world" / (stage if len(found) == 1 else f"{stage}-{number}")


def gather(at: Setting) -> None:
    """Read what the tables do not hold yet, every source before any fault is raised.

    Raises:
        SourceError: sources that cannot be read as a whole, or of which every row is lost; the sentence names all.
    """
    run, recipe = at.run, at.recipe
    before, read_as = fingerprints.Gathered(run), dict[tuple[str, int], str]()
    faults = list(_unreadable(recipe))
    for stage in recipe.stages if not faults else ():
        try:
            read_as |= _gather_stage(at, before, stage)
        except ExceptionGroup as several:
            faults += map(str, several.exceptions)
    _raise(faults)
    _keep_rows(at)
    manifest.write(run, sections(recipe), read_as)


def _gather_stage(at: Setting, before: fingerprints.Gathered, stage: str) -> dict[tuple[str, int], str]:
    """Read the sources of a stage that changed, or were not read to their end; how keys were read, by source.

    What was refused is read again then: rows or files may have been mended. Raises a group of `SourceError`, one for
    each source that cannot be used.
    """
    faults, read_as, places = list[SourceError](), dict[tuple[str, int], str](), dict[int, Place]()
    run, found, kind = at.run, sections(at.recipe)[stage], at.recipe.kind(stage)
    fresh = not _known(run, stage, kind)
    for number in range(len(found)):
        try:
            places[number] = _place(run, stage, kind, found, number)
        except SourceError as error:
            faults.append(error)
    changed = [n for n, place in places.items() if not before.holds(stage, n, found[n], place.folder)]
    if changed and not fresh and run.share is None:
        fingerprints.check_images(run, stage, at.folders[stage], before.since)
        # Verdicts on what a source did not give fill shards of their own.
        if run.verdicts.drop((pl.col("filter") == FILTER) & (pl.col("stage") == stage) & ~pl.col("keep")):
            changed = list(places)
    for number in changed:
        try:
            noted = _gather_one(at, (stage, number), places[number], fresh)
        except SourceError as error:
            faults.append(error)
            continue
        read_as |= {(stage, number): noted} if noted else {}
        before.note(stage, number, found[number], places[number].folder)
    if faults:
        raise ExceptionGroup(stage, faults)
    return read_as


def check(recipe: Recipe, passed_over: Callable[[SourceSection], bool]) -> None:
    """Look at the first rows of every source on disk that is not to be passed over.

    Raises:
        SourceError: some cannot be read; the sentence names all.
    """
    _raise(list(_unreadable(recipe, passed_over)))


def _unreadable(recipe: Recipe, passed_over: Callable[[SourceSection], bool] = lambda section: False) -> Iterator[str]:
    """What is wrong with sources on disk by their first rows, before any is read to its end or fetched."""
    for stage, found in sections(recipe).items():
        for section in found:
            if section.path and not passed_over(section):
                try:
                    counting.rows(section.model_copy(update={"limit": 1}), recipe.kind(stage))
                except SourceError as error:
                    yield str(error)


def _raise(faults: Sequence[str]) -> None:
    """Raise one SourceError of all sentences, if there is any."""
    if faults:
        said = " ".join(f"({number}) {fault}" for number, fault in enumerate(faults, 1))
        raise SourceError(faults[0] if len(faults) == 1 else f"{len(faults)} sources cannot be used: {said}")


def _gather_one(at: Setting, source: tuple[str, int], place: Place, fresh: bool) -> str:
    """Read one source to its end, and say what it loses; how its keys were read.

    With `fresh` (no row was read before) a source that loses all of its rows is refused.
    """
    stage, number = source
    found, kind = sections(at.recipe)[stage], at.recipe.kind(stage)
    section, noted, losses = found[number], list[str](), Losses()
    label = f"source, {stage}" if len(found) == 1 else f"source, {stage} {number + 1}"
    with at.display.step(label, None) as advance:
        rows = registry.rows(section, place, stage, kind, _known(at.run, stage, kind), noted.append)
        _append(at.run, rows, advance, losses)
    if noted:
        how = "as its recipe says" if section.columns and section.columns.answers else "as its rows show"
        at.display.note(f"{label}: keys of options are {noted[0]}, {how}")
    if fresh:
        _check_kept(f"The {stage} source {section.path or section.repo or section.kind}", losses)
    for said in losses.said:
        at.display.note(f"{label}: {said}")
    return noted[0] if noted else ""


def _check_kept(source: str, losses: Losses) -> None:
    """Refuse a source that has no rows, or loses all of them."""
    if not losses.total and not losses.passed_over:
        raise SourceError(f"{source} has no rows at all; check its files.")
    if losses.lost and not losses.kept:
        raise SourceError(
            f"{source} lost all of its {losses.total:,} rows: {losses}; mend the recipe or the files, and run the same "
            "command again."
        )


def _place(run: Run, stage: str, kind: Stage, found: Sequence[SourceSection], number: int) -> Place:
    """Where a source lies, its data fetched or made if need be."""
    section, plain = found[number], _is_plain(found[number])
    if section.kind == "scenes":
        from datagen.micro import export

        folder = _world(run, stage, found, number)
        export.export_source(folder, kind, section)
        prefix = "" if len(found) == 1 else f"{folder.relative_to(run.path).as_posix()}/"
    else:
        folder = registry.folder(section)
        if plain and not folder.is_dir():
            raise SourceError(f"The {stage} source {folder} is not a folder; check the recipe's path.")
        linked = section.path and not section.repo and not (plain and len(found) == 1)
        prefix = link(run.path, stage, number, folder) if linked else ""
    return Place(folder, section.name or folder.name, Store(run.path), prefix)


def _append(run: Run, items: Iterator[CaptionedImage | Question | Verdict], advance: Advance, losses: Losses) -> None:
    for window in windows(items, FLUSH_ROWS):
        losses.count(window)
        run.captions.append(item for item in window if isinstance(item, CaptionedImage))
        run.questions.append(item for item in window if isinstance(item, Question))
        run.verdicts.append(item for item in window if isinstance(item, Verdict))
        advance(len(window))


def _known(run: Run, stage: str, kind: Stage) -> set[str]:
    """Keys of the records and rows of a stage that were read before."""
    dropped = run.verdicts.keys("question_id", pl.col("filter") == FILTER, pl.col("stage") == stage, ~pl.col("keep"))
    if kind is not Stage.PERCEPTION:
        return dropped | run.questions.keys("question_id")
    mine = stage_of_caption() == stage
    return dropped | run.captions.keys("row_key", mine) | run.captions.keys("caption_id", mine)


def _keep_rows(at: Setting) -> None:
    """A kept verdict for every row that has none: rows and verdicts are two tables, and a kill may part them."""
    run = at.run
    judged = run.verdicts.scan().filter(pl.col("filter") == FILTER)
    captions = run.captions.scan().select(pl.col("caption_id").alias("question_id"), stage_of_caption())
    problems = run.questions.scan().filter(pl.col("caption_id") == "").select("question_id", "stage")
    rows = pl.concat([captions, problems])
    missing = rows.join(judged, on="question_id", how="anti", maintain_order="left").collect()
    run.verdicts.append(Verdict(row, stage, FILTER, True, Reason.KEPT) for row, stage in missing.iter_rows())
    for stage, found in sections(at.recipe).items():
        if not run.verdicts.keys("question_id", pl.col("filter") == FILTER, pl.col("stage") == stage, pl.col("keep")):
            where = ", ".join(section.path or section.repo or section.kind for section in found)
            raise SourceError(f"The {stage} source {where} gave no usable row; `why` and `funnel` tell what it held.")
