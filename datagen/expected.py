"""How many rows a build will have and how large they are: from the run's tables, else from the sources.

Sources on disk are counted (`datagen.sources.counting`). What is not here yet, of the Hub or a path where nothing lies,
has as many rows as its makers state, or as the recipe's limit allows where they state none.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from capcurriculum import prompts
from capcurriculum.errors import RecipeError
from capcurriculum.ledger.forecast import Rows
from capcurriculum.ledger.verdicts import Ledger, in_force
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Stage
from capcurriculum.run import Run, same_recipe, stage_of_caption
from datagen import image_decoding
from datagen.shown import MOST_PIXELS
from datagen.sources import counting, gather

#: What is assumed of rows that have not been read: characters of a caption or problem, and pixels of an image.
ASSUMED_CHARACTERS = 800
ASSUMED_PIXELS = 1_000_000
#: Pixels of one image token: patch times merge, squared, for Qwen3-VL (FACTS of its processor: 16 and 2).
PIXELS_A_TOKEN = 32 * 32
_SAMPLE = 64
#: Rows of a whole upstream set as its makers state them: DOCCI by split (Onoe et al. 2024), ORZ-Math-13k as released.
_DOCCI = {"train": 9647, "test": 5000, "qual_dev": 100, "qual_test": 100}
_ORZ = 13_181


def existing_run(wanted: Recipe) -> Run | None:
    """The recipe's run, if it was begun under this very recipe.

    Raises:
        RecipeError: a run of that name was made with another recipe.
    """
    run = Run(wanted.run_dir)
    return run if same_recipe(run, wanted) else None


def rows(wanted: Recipe, run: Run | None) -> Rows:
    """Counts and sizes of the recipe's rows.

    Raises:
        RecipeError: nothing was read yet, and how many rows a source has is neither documented nor limited.
        SourceError: nothing was read yet, and a source on disk cannot be read.
    """
    system = len(prompts.system())
    if run is None or not _begun(run):
        gather.check(wanted, _is_absent)
        captions = {stage: _stated(wanted, stage) for stage in wanted.captioned}
        problems = sum(_stated(wanted, stage) for stage in wanted.stages if stage not in captions)
        questions = _written(wanted, captions)
        image = ASSUMED_PIXELS // PIXELS_A_TOKEN
        return Rows(captions, problems, system + ASSUMED_CHARACTERS, image, questions, questions, judged=False)
    captions = dict.fromkeys(wanted.captioned, 0)
    captions |= dict(run.captions.scan().group_by(stage_of_caption()).len().collect().iter_rows())
    asked = run.questions.frame("stage", "problem")
    made = dict(asked.filter(pl.col("stage").is_in(list(captions))).group_by("stage").len().iter_rows())
    texts = run.captions.frame("caption")["caption"].to_list() or asked["problem"].to_list()
    written = _written(wanted, captions)
    images = _first_images(run, wanted)
    ledger = Ledger(run, wanted)
    worth, left = _left(ledger, Phase.QUESTION), _left(ledger, Phase.AUDIT)
    taught = _taught(run)
    # Questions that are still to be written are taken to fare as those that are.
    more = {stage: captions[stage] / taught[stage] for stage in captions if taught.get(stage)}
    # Where none of the first few is kept, nothing is known of the others but that they may all be.
    left |= {stage: worth.get(stage, 0) for stage, factor in more.items() if factor > 1 and not left.get(stage)}
    return Rows(
        captions=captions,
        problems=sum(count for stage, count in left.items() if stage not in captions),
        characters=system + _mean(len(text) for text in texts[:1000]),
        image_tokens=_mean(map(_tokens, images)),
        questions={
            stage: round(worth.get(stage, 0) * more.get(stage, 1)) if stage in made else written[stage]
            for stage in captions
        },
        reaching={
            stage: round(left.get(stage, 0) * more.get(stage, 1)) if stage in made else written[stage]
            for stage in captions
        },
        judged=_judged(ledger),
        image_bytes=_mean(path.stat().st_size for path in images if path.is_file()),
    )


def _begun(run: Run | None) -> bool:
    """Whether the run has read rows of its sources."""
    return run is not None and bool(run.captions.count() or run.questions.count())


def _written(wanted: Recipe, captions: Mapping[str, int]) -> dict[str, int]:
    """Stage -> how many questions its teacher will write, if every one succeeds."""
    return {stage: count * wanted.captioned[stage].teacher.questions for stage, count in captions.items()}


def _taught(run: Run) -> dict[str, int]:
    """Stage -> how many of its captions the teacher is done with."""
    judged = run.verdicts.scan().filter(pl.col("filter") == "teacher").group_by("stage").len()
    return dict(judged.collect().iter_rows())


def _left(ledger: Ledger, through: Phase) -> dict[str, int]:
    """Stage -> how many of its questions no filter has dropped so far."""
    questions = ledger.run.questions.scan().select("question_id", "stage")
    left = questions.join(ledger.dropped(through), on="question_id", how="anti")
    return dict(left.group_by("stage").len().collect().iter_rows())


def _judged(ledger: Ledger) -> bool:
    """Whether the last filters before the rollouts have begun to judge questions made from captions."""
    made = pl.col("stage").is_in(list(ledger.recipe.captioned))
    before = in_force(ledger.recipe).filter(made, pl.col("phase") < int(Phase.ROLLOUT)).sort("place")
    last = ledger.verdicts().filter(pl.col("filter").is_in(before["filter"].tail(1)))
    return not last.head(1).collect().is_empty()


def _stated(wanted: Recipe, stage: str) -> int:
    return sum(_items(stage, wanted.kind(stage), section) for section in wanted.stages[stage].all_sources)


def _items(stage: str, kind: Stage, section: SourceSection) -> int:
    if section.path and not _is_absent(section):
        return counting.rows(section, kind)
    known = _documented(section)
    if section.limit is None and known is None:
        raise RecipeError(
            f"How many rows the {stage} source {section.repo} has is not known before it is read; give it a limit to "
            "plan with, or start the build: it reads all sources before it asks a model."
        )
    return min(count for count in (section.limit, known) if count is not None)


def _is_absent(section: SourceSection) -> bool:
    """Whether a source on disk is not there yet, and its makers state how many rows it will have."""
    return bool(section.path) and not Path(section.path).exists() and _documented(section) is not None


def assumed(wanted: Recipe, run: Run | None) -> list[str]:
    """A sentence on each source whose number of rows is only stated; none once the run has read them."""
    return [
        f"{stage}: {section.path or section.repo} is not here to be counted; its rows are as many as "
        + ("its recipe's limit" if _documented(section) is None else "its makers state")
        for stage, sections in ({} if _begun(run) else gather.sections(wanted)).items()
        for section in sections
        if section.repo or _is_absent(section)
    ]


def _documented(section: SourceSection) -> int | None:
    """Rows that the source is stated to have; None where that is unknown."""
    match section.kind:
        case "scenes":
            return section.items
        case "reasoning_gym":
            return sum(task.items for task in section.tasks.values())
        case "docci":
            return sum(_DOCCI.get(split, 0) for split in section.selected_splits) or None
        case "orz":
            return _ORZ
        case "vlaa":
            counts = [count for count in section.parts.values() if count is not None]
            return sum(counts) if counts and len(counts) == len(section.parts) else None
        case _:
            return None


def _first_images(run: Run, wanted: Recipe) -> list[Path]:
    """Files of the first images of each stage."""
    captions = run.captions.scan().select(stage_of_caption(), "image_path")
    problems = run.questions.scan().filter(pl.col("caption_id") == "", pl.col("image_path") != "")
    shown = pl.concat([captions, problems.select("stage", "image_path")])
    shown = shown.group_by("stage", maintain_order=True).head(_SAMPLE)
    folders = gather.folders(run, wanted)
    return [folders[stage] / name for stage, name in shown.collect().iter_rows()]


def _tokens(path: Path) -> int:
    try:
        with image_decoding.opened(image_decoding.file_bytes(path), MOST_PIXELS) as image:
            return image.width * image.height // PIXELS_A_TOKEN
    except image_decoding.ImageProblem:
        return ASSUMED_PIXELS // PIXELS_A_TOKEN


def _mean(values: Iterable[int]) -> int:
    found = list(values)
    return sum(found) // len(found) if found else 0
