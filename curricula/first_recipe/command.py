"""`capcurriculum init`: look at data, choose models, write a recipe or add a stage to one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.recipe import Recipe, yaml_file
from capcurriculum.rows import Stage
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from curricula.first_recipe import add_stage, found, models, write
from curricula.first_recipe.data import look
from curricula.first_recipe.models import Named
from datagen import expected

_UNNAMED = "data"
#: Rows of a stage below which shares held out are larger and batches smaller.
_FEW = 2000
#: The default of a recipe's `runs`.
_RUNS = Path("runs")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for besides the models; see the options of `capcurriculum init`."""

    data: str
    file: Path | None = None
    stage: Stage | None = None
    columns: tuple[str, ...] = ()
    answers: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A recipe's file as it is now, and the stage that was added to it, None where it is a new one.

    `begun` is the run that was made of it before, None if there is none: the added stage needs a fork of it.
    """

    file: Path
    recipe: Recipe
    added: Stage | None = None
    begun: Path | None = None


def init(wanted: Wanted, named: Named, backbone_of: Callable[[str], str], say: Say) -> Written:
    """Write a recipe for the data, or add its stage to one.

    With a stage, a file that is there (or the one recipe of this folder) is extended; else a new one is written.

    Args:
        wanted: what is asked for.
        named: the models as the user names them.
        backbone_of: the backbone that trains a model, "" where none is known.
        say: called with each line about what was found, before the recipe is written.

    Raises:
        CapCurriculumError: there is no usable data, models are not named or not served, a file is in the way, or what
            would be written could not be built.
    """
    models.check(named)
    file = _file(wanted)
    extended = wanted.stage is not None and file.is_file() and not wanted.overwrite
    if file.exists() and not extended and not wanted.overwrite:
        raise RunError(
            f"{file} is there already; write to another file with --recipe, replace it with --overwrite, or add a "
            "stage to it with --stage."
        )
    if extended:
        recipe.load(file)
    elif not wanted.overwrite and (begun := Run(_RUNS / _run_name(file.stem))).asked:
        raise _taken(begun.path, file)
    data = look(wanted.data, wanted.stage, wanted.columns, wanted.answers)
    for line in found.lines(wanted.data, data):
        say(line)
    sections = {stage: [one.candidate.section for one in read] for stage, read in data.stages.items()}
    if extended and wanted.stage:
        text, made = add_stage.add(file, wanted.stage, sections[wanted.stage], named.teacher, named.solvers)
        built = made.run_dir if Run(made.run_dir).asked else None
        if built:
            expected.rows(made, None)
        else:
            _check_buildable(made, file)
        add_stage.replace(file, text)
        return Written(file, made, wanted.stage, built)
    chosen = models.choose(named, Stage.PERCEPTION in sections)
    if chosen.remark:
        say(chosen.remark)
    backbone = "micro" if chosen.micro else backbone_of(chosen.solvers[0])
    few = min(sum(one.sample.total for one in read) for read in data.stages.values()) < _FEW
    text = write.recipe(_run_name(file.stem), sections, chosen, backbone, few=few)
    made = recipe.parse(yaml_file.parsed(text), str(file))
    _check_buildable(made, file)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text.encode())
    return Written(file, made)


def _file(wanted: Wanted) -> Path:
    """The recipe's file: the one that is named, else the one in this folder that gets a stage, else a new one."""
    if wanted.file:
        if wanted.file.suffix not in (".yaml", ".yml"):
            raise RunError(f"A recipe's file ends in .yaml; name it {wanted.file}.yaml.")
        return wanted.file
    new = Path(f"{_run_name(Path(wanted.data).absolute().stem)}.yaml")
    if wanted.stage and not wanted.overwrite and not new.exists() and _recipes():
        return add_stage.only_recipe(Path())
    return new


def _recipes() -> Sequence[Path]:
    return [path for ending in ("*.yaml", "*.yml") for path in Path().glob(ending)]


def _run_name(text: str) -> str:
    """A text as the name of a run."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:64] or _UNNAMED


def _check_buildable(made: Recipe, file: Path) -> None:
    """Do what `build --dry-run` does first.

    Raises:
        CapCurriculumError: it would be refused.
    """
    try:
        before = expected.existing_run(made)
    except RecipeError as error:
        raise _taken(made.run_dir, file) from error
    expected.rows(made, before)


def _taken(run: Path, file: Path) -> RunError:
    other = file.with_name(f"{file.stem}_2{file.suffix}")
    return RunError(f"{run} holds a run of another recipe; write this one to another file: --recipe {other}.")
