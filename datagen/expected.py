"""How many rows a build will have and how large they are: from the run's tables, or from what the recipe says."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from capcurriculum import prompts
from capcurriculum.errors import RecipeError
from capcurriculum.filter_section import Phase
from capcurriculum.forecast import Rows
from capcurriculum.recipe import Recipe
from capcurriculum.recipe_sources import SourceSection
from capcurriculum.rows import Stage
from capcurriculum.run import Run, same_recipe
from capcurriculum.verdicts import current, dropped, in_force
from datagen import images
from datagen.engines.encoding import MOST_PIXELS
from datagen.sources import gather

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
    """
    system = len(prompts.system())
    if run is None or not (run.captions.count() or run.questions.count()):
        captions = _stated(wanted, (Stage.PERCEPTION,))
        problems = _stated(wanted, (Stage.TEXT, Stage.VISUAL))
        questions = captions * (wanted.perception.teacher.questions if wanted.perception else 0)
        image = ASSUMED_PIXELS // PIXELS_A_TOKEN
        return Rows(captions, problems, system + ASSUMED_CHARACTERS, image, questions, questions, judged=False)
    captions = run.captions.count()
    asked = run.questions.frame("stage", "problem", "image_path")
    made = asked.filter(pl.col("stage") == Stage.PERCEPTION).height
    texts = run.captions.frame("caption")["caption"].to_list() or asked["problem"].to_list()
    written = made or captions * (wanted.perception.teacher.questions if wanted.perception else 0)
    pictures = _first_images(run, wanted)
    worth, left = _left(run, wanted, Phase.QUESTION), _left(run, wanted, Phase.AUDIT)
    return Rows(
        captions=captions,
        problems=sum(count for stage, count in left.items() if stage != Stage.PERCEPTION),
        characters=system + _mean(len(text) for text in texts[:1000]),
        image_tokens=_mean(map(_tokens, pictures)),
        questions=worth.get(Stage.PERCEPTION, 0) if made else written,
        reaching=left.get(Stage.PERCEPTION, 0) if made else written,
        judged=_judged(run, wanted),
        image_bytes=_mean(path.stat().st_size for path in pictures if path.is_file()),
    )


def _left(run: Run, wanted: Recipe, through: Phase) -> dict[str, int]:
    """Stage -> how many of its questions no filter has dropped so far."""
    gone = dropped(run, wanted, through)
    left = run.questions.scan().select("question_id", "stage").join(gone, on="question_id", how="anti")
    return dict(left.group_by("stage").len().collect().iter_rows())


def _judged(run: Run, wanted: Recipe) -> bool:
    """Whether the last filters before the rollouts have begun to judge perception questions."""
    before = in_force(wanted).filter(pl.col("stage") == Stage.PERCEPTION, pl.col("phase") < int(Phase.ROLLOUT))
    last = current(run, wanted, pl.col("place") == (before["place"].max() if before.height else -1))
    return not last.head(1).collect().is_empty()


def _stated(wanted: Recipe, stages: Sequence[Stage]) -> int:
    found = gather.sections(wanted)
    return sum(_items(stage, section) for stage in stages for section in found.get(stage, ()))


def _items(stage: Stage, section: SourceSection) -> int:
    known = _documented(section)
    if section.limit is None and known is None:
        raise RecipeError(
            f"How many rows the {stage} source {section.path or section.repo or section.kind} has is not known before "
            "it is read; give it a limit to plan with, or start the build: it reads all sources before it asks a model."
        )
    return min(count for count in (section.limit, known) if count is not None)


def _documented(section: SourceSection) -> int | None:
    """Rows the source is said to have; None where nobody says."""
    match section.kind:
        case "scenes":
            return section.items
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
    shown = [(str(Stage.PERCEPTION), name) for (name,) in run.captions.frame("image_path").head(_SAMPLE).iter_rows()]
    asked = run.questions.frame("stage", "image_path").filter(pl.col("stage") == Stage.VISUAL)
    shown += list(asked.head(_SAMPLE).iter_rows())
    folders = gather.folders(run, wanted)
    return [folders[stage] / name for stage, name in shown]


def _tokens(path: Path) -> int:
    try:
        with images.opened(images.file_bytes(path), MOST_PIXELS) as image:
            return image.width * image.height // PIXELS_A_TOKEN
    except images.ImageProblem:
        return ASSUMED_PIXELS // PIXELS_A_TOKEN


def _mean(values: Iterable[int]) -> int:
    found = list(values)
    return sum(found) // len(found) if found else 0
