"""Bring every source of a recipe into the run's tables: captions, problems, and a verdict on every line.

Rows are appended in small shards while the source is read, so memory does not grow with it and a killed build goes on
behind the last shard.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from capcurriculum.errors import SourceError
from capcurriculum.progress import Advance, Display
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe, SourceSection
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from capcurriculum.run import Run
from datagen.sources.docci import read_docci
from datagen.sources.problems import read_problems
from datagen.windows import windows

FILTER = "source"
FLUSH_ROWS = 256


def sections(recipe: Recipe) -> dict[Stage, SourceSection]:
    """The stages a recipe has, in teaching order, with their sources."""
    named = {Stage.PERCEPTION: recipe.perception, Stage.TEXT: recipe.text, Stage.VISUAL: recipe.visual}
    return {stage: section.source for stage, section in named.items() if section is not None}


def folders(run: Run, recipe: Recipe) -> dict[str, Path]:
    """Stage -> the folder its source lies in; image paths of the stage's rows are relative to it."""
    return {
        stage: run.path / "world" / stage if section.kind == "scenes" else Path(section.path)
        for stage, section in sections(recipe).items()
    }


def gather(run: Run, recipe: Recipe, display: Display) -> None:
    """Read what the tables do not hold yet.

    Raises:
        SourceError: a source as a whole cannot be read, or gives no row at all.
    """
    where = folders(run, recipe)
    for stage, section in sections(recipe).items():
        if section.kind == "scenes":
            export_world(where[stage], stage, section)
        if not where[stage].is_dir():
            raise SourceError(f"The {stage} source {where[stage]} is not a folder; check the recipe's path.")
        with display.step(f"source, {stage}", None) as advance:
            if stage is Stage.PERCEPTION:
                _gather_captions(run, section, where[stage], advance)
            else:
                _gather_problems(run, section, where[stage], stage, advance)
    _keep_rows(run, where)


def export_world(folder: Path, stage: Stage, section: SourceSection) -> None:
    """Write the embedded world in the format of a real source, once; a killed export leaves nothing behind."""
    from datagen.micro import export

    if folder.is_dir():
        return
    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    match stage:
        case Stage.PERCEPTION:
            export.export(
                temporary,
                images=section.items,
                seed=section.seed,
                lies=section.lies,
                unreadable=section.unreadable,
                near_duplicates=section.near_duplicates,
            )
        case Stage.TEXT:
            export.export_text(temporary, section.items, section.seed)
        case Stage.VISUAL:
            export.export_visual(temporary, section.items, section.seed)
    temporary.rename(folder)


def _gather_captions(run: Run, section: SourceSection, folder: Path, advance: Advance) -> None:
    known = set(run.captions.keys("row_key") | run.captions.keys("caption_id")) | _dropped(run, Stage.PERCEPTION)
    for window in windows(read_docci(section, folder, known), FLUSH_ROWS):
        run.captions.append(item for item in window if isinstance(item, CaptionedImage))
        run.verdicts.append(item for item in window if isinstance(item, Verdict))
        advance(len(window))


def _gather_problems(run: Run, section: SourceSection, folder: Path, stage: Stage, advance: Advance) -> None:
    known = run.questions.keys("question_id") | _dropped(run, stage)
    for window in windows(read_problems(section, folder, stage, known), FLUSH_ROWS):
        run.questions.append(item for item in window if isinstance(item, Question))
        run.verdicts.append(item for item in window if isinstance(item, Verdict))
        advance(len(window))


def _dropped(run: Run, stage: Stage) -> set[str]:
    found = run.verdicts.where(pl.col("filter") == FILTER, pl.col("stage") == stage, ~pl.col("keep"))
    return {verdict.question_id for verdict in found}


def _keep_rows(run: Run, where: Mapping[str, Path]) -> None:
    """A kept verdict for every row that has none: rows and verdicts are two tables, and a kill may part them."""
    judged = {verdict.question_id for verdict in run.verdicts.where(pl.col("filter") == FILTER)}
    run.verdicts.append(verdict for verdict in _kept(run) if verdict.question_id not in judged)
    for stage in where:
        kept = run.verdicts.where(pl.col("filter") == FILTER, pl.col("stage") == stage, pl.col("keep"))
        if not kept:
            raise SourceError(
                f"The {stage} source {where[stage]} gave no usable row; `why` and `funnel` tell what it held."
            )


def _kept(run: Run) -> Iterator[Verdict]:
    for caption in run.captions.rows():
        yield Verdict(caption.caption_id, Stage.PERCEPTION, FILTER, True, Reason.KEPT)
    for question in run.questions.rows():
        if question.stage != Stage.PERCEPTION:
            yield Verdict(question.question_id, question.stage, FILTER, True, Reason.KEPT)
