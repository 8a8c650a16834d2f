"""A run directory is the truth about a build; everything else is a query over it.

One process writes at a time, or several that hold different shares of its rows (see `locks`). A run is opened with a
recipe, and refuses to go on under one, or under prompts, that could change a result.
"""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum import __version__, journal, locks, prompts, recipe, unforeseen
from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.files import checked_json, json_file
from capcurriculum.locks import Chosen, Share
from capcurriculum.recipe import Recipe
from capcurriculum.rows import (
    SCHEMA,
    Answer,
    Attempt,
    CaptionedImage,
    Description,
    Question,
    Regrade,
    Review,
    Stage,
    Verdict,
)
from capcurriculum.tables import Row, Table, write_atomically

_RECORDED = ("datasets", "polars", "pyarrow", "pillow", "torch", "transformers", "openai", "vllm", "verl")


@dataclass(frozen=True, slots=True)
class Run:
    """The tables and files of one run directory, and the share of its rows that this process works on (None: all).

    `writer` is what this process's shards and events are called where several write at once; a share's name is one.
    """

    path: Path
    share: Share | Chosen | None = None
    writer: str = ""

    def __post_init__(self) -> None:
        """Libraries take a path such as `s3:/x` for an address, and none that begins with a slash."""
        if ":" in str(self.path).partition("/")[0]:
            object.__setattr__(self, "path", self.path.absolute())

    @property
    def _writer(self) -> str:
        return self.writer or str(self.share or "")

    def table(self, name: str, record: type[Row]) -> Table[Row]:
        """A table of this run by the name of its folder."""
        return Table(self.path / name, record, self._writer)

    @property
    def captions(self) -> Table[CaptionedImage]:
        """What the caption sources gave."""
        return self.table("captions", CaptionedImage)

    @property
    def attempts(self) -> Table[Attempt]:
        """Every try of the teacher."""
        return self.table("attempts", Attempt)

    @property
    def questions(self) -> Table[Question]:
        """Questions of all stages."""
        return self.table("questions", Question)

    @property
    def descriptions(self) -> Table[Description]:
        """What auditors wrote of images."""
        return self.table("descriptions", Description)

    @property
    def answers(self) -> Table[Answer]:
        """Graded replies of solvers."""
        return self.table("answers", Answer)

    @property
    def verdicts(self) -> Table[Verdict]:
        """The ledger of keeping and dropping."""
        return self.table("verdicts", Verdict)

    @property
    def reviews(self) -> Table[Review]:
        """What people said of questions."""
        return self.table("reviews", Review)

    @property
    def regrades(self) -> Table[Regrade]:
        """Answers graded again under keys that people corrected."""
        return self.table("regrades", Regrade)

    @property
    def tables(self) -> tuple[Table[Any], ...]:
        """All of them, in the order of the road, and then those of people."""
        made = (self.captions, self.attempts, self.questions, self.descriptions, self.answers, self.verdicts)
        return (*made, self.reviews, self.regrades)

    @property
    def asked(self) -> bool:
        """Whether any model, or person, was asked anything."""
        left = (path for table in self.replies for path in journal.left(table, everyone=True))
        return any(table.shards() for table in (*self.replies, self.reviews)) or any(p.stat().st_size for p in left)

    @property
    def replies(self) -> tuple[Table[Any], ...]:
        """The tables of what models said."""
        return (self.attempts, self.descriptions, self.answers)

    def my_captions(self, stage: str) -> Iterator[CaptionedImage]:
        """The captions of this process's share that questions of a stage are made from."""
        found = (c for c in self.captions.rows() if c.stage == stage)
        return (c for c in found if self.share is None or self.share.holds(c.image_id))

    def my_questions(self, *predicates: pl.Expr) -> Iterator[Question]:
        """The questions of this process's share for which every predicate holds; one about an image goes with it."""
        found = self.questions.rows(*predicates)
        return (q for q in found if self.share is None or self.share.holds(q.image_id or q.question_id))

    def my_ids(self) -> pl.LazyFrame | None:
        """`question_id` of the questions of this process's share; None if it works on all."""
        if self.share is None:
            return None
        frame = self.questions.frame("question_id", "image_id")
        held = [question for question, image in frame.iter_rows() if self.share.holds(image or question)]
        return pl.LazyFrame({"question_id": held}, schema={"question_id": pl.String})

    @property
    def stages(self) -> Path:
        """Where the stage files are."""
        return self.path / "stages"

    @property
    def plans(self) -> list[Path]:
        """The plan of every training of this run: the one without a name, then the named ones."""
        found = [self.path / "training" / "plan.json", *sorted(self.path.glob("trainings/*/plan.json"))]
        return [plan for plan in found if plan.is_file()]

    def about(self) -> dict[str, Any]:
        """What `run.json` says of how the run was begun: versions, seed, prompts. Empty where there is none.

        Raises:
            RunError: it is damaged.
        """
        path = self.path / "run.json"
        try:
            return json_file.mapping(path)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is damaged ({error}); put back a copy, or move it away to go on without."
            ) from error

    def recipe(self) -> Recipe:
        """The resolved recipe the run was made with."""
        return recipe.load(self.path / "recipe.yaml")

    def event(self, kind: str, **values: object) -> None:
        """Append one line to this process's events file; readers pass over a last line torn by a kill."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": kind, **values})
        name = f"events-{self._writer}.jsonl" if self._writer else "events.jsonl"
        torn = not json_file.ends_whole(self.path / name)
        with (self.path / name).open("a", encoding="utf-8") as handle:
            handle.write("\n" * torn + line + "\n")

    def events(self) -> Iterator[dict[str, object]]:
        """Whole lines of all events files, oldest first in each.

        Raises:
            RunError: one cannot be read.
        """
        for path in sorted(self.path.glob("events*.jsonl")):
            yield from json_file.lines(path)


def stage_of_caption() -> pl.Expr:
    """The column `stage` of the captions table; shards of before there were several lack it."""
    return pl.col("stage").fill_null(Stage.PERCEPTION.value)


def existing(path: Path) -> Run:
    """A run to read from.

    Raises:
        RunError: there is none at `path`, or that is no text.
    """
    _refuse_odd(path)
    if not os.path.isfile(path / "recipe.yaml"):
        near = meant(path.name, names(path.parent))
        raise RunError(
            f"There is no run at {path}{near}: it has no recipe.yaml; "
            "`capcurriculum runs` lists those there are, and `capcurriculum build RECIPE` makes one."
        )
    unforeseen.remember(path)
    return Run(path)


def names(folder: Path) -> list[str]:
    """The names of the runs in a folder."""
    try:
        return sorted(one.name for one in folder.iterdir() if (one / "recipe.yaml").is_file())
    except OSError:
        return []


def _refuse_odd(path: Path) -> None:
    """Refuse a path that polars, Arrow and DuckDB cannot open, wherever in it the odd bytes are.

    Raises:
        RunError: it is no UTF-8.
    """
    try:
        os.fsencode(path.absolute()).decode("utf-8")
    except ValueError as error:
        raise RunError(
            f"The path of the run, {str(path.absolute())!a}, has bytes that are no UTF-8; rename that folder."
        ) from error


@contextmanager
def writing(wanted: Recipe, share: Share | None = None) -> Iterator[Run]:
    """Open the recipe's run, or a share of it, for writing, new or to be continued.

    Raises:
        RunError: another process is writing it, or it was made with other prompts.
        RecipeError: it was made with a recipe that differs where it matters; the sentence lists the keys.
    """
    run = Run(wanted.run_dir, share)
    _refuse_odd(run.path)
    run.path.mkdir(parents=True, exist_ok=True)
    unforeseen.remember(run.path)
    with locks.sharing(run.path, share) if share else locks.alone(run.path):
        with locks.in_turn(run.path):
            _check_recipe(run, wanted)
        _sweep(run)
        yield run


def _sweep(run: Run) -> None:
    """Keep the replies, and remove what is half-written, that killed processes left: all of them, or of this share."""
    for table in run.replies:
        journal.take_over(table, everyone=run.share is None)
    for leftover in run.path.glob(f"*/.tmp-*-{run.share}.parquet" if run.share else "*/.tmp-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def same_recipe(run: Run, wanted: Recipe) -> bool:
    """Whether the run was begun under this recipe; False if it was not begun at all, or asked no model under another.

    Raises:
        RecipeError: it was begun under one that differs where it matters; the sentence lists the keys.
    """
    if not (run.path / "recipe.yaml").is_file():
        return False
    # A share runs beside others, whose rows must stay as they are.
    if run.share is None and not run.asked:
        return not recipe.differences(run.recipe(), wanted) and not _other_prompts(run)
    if changed := recipe.differences(run.recipe(), wanted):
        raise RecipeError(
            f"The run {run.path} was made with another recipe; it differs in {'; '.join(changed)}. "
            "Set these keys back, give the recipe another name, or begin a run that takes over every answer that still "
            "holds: `capcurriculum build RECIPE --fork NAME`."
        )
    return True


def _check_recipe(run: Run, wanted: Recipe) -> None:
    about = run.path / "run.json"
    if same_recipe(run, wanted):
        check_prompts(run)
    else:
        if run.share is None:
            _start_over(run)
        versions = {name: _version(name) for name in _RECORDED}
        facts = {"capcurriculum": __version__, "schema": SCHEMA, "seed": wanted.seed, "versions": versions}
        facts |= {"python": platform.python_version(), "created": datetime.now(UTC).isoformat(timespec="seconds")}
        facts |= {"prompts": {name: prompts.digest(name) for name in prompts.names()}}
        write_atomically(about, checked_json.encode(facts))
    write_atomically(run.path / "recipe.yaml", checked_json.commented(recipe.dump(wanted)))


def _start_over(run: Run) -> None:
    """Remove what was read for another recipe, if anything; nothing that a model said is among it."""
    for table in (run.captions, run.questions, run.verdicts):
        shutil.rmtree(table.folder, ignore_errors=True)
    for name in ("gathered.json", "sources.json"):
        (run.path / name).unlink(missing_ok=True)


def check_prompts(run: Run) -> None:
    """Answers are known by what was asked about, not by its wording, so the wording must not change under a run.

    Raises:
        RunError: the run was made with other prompts than this version's.
    """
    if changed := _other_prompts(run):
        raise RunError(
            f"The run {run.path} was made with other prompts ({', '.join(changed)}); go on with the version of "
            "capcurriculum that run.json names, or give the recipe another name."
        )


def _other_prompts(run: Run) -> list[str]:
    before = run.about().get("prompts")
    before = before if isinstance(before, dict) else {}
    return [name for name in prompts.names() if before.get(name, prompts.digest(name)) != prompts.digest(name)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def named(path_or_name: str, runs: str = "runs") -> Run:
    """The run a user names: a folder, a recipe file, or a run's name below `runs`.

    Raises:
        RunError: none of them exists.
    """
    path = Path(path_or_name)
    if os.path.isfile(path) and path.suffix in (".yaml", ".yml"):
        folder = recipe.load(path).run_dir
        if not os.path.isfile(folder / "recipe.yaml"):
            raise RunError(f"There is no run at {folder} yet; `capcurriculum build {path_or_name}` makes it.")
        return existing(folder)
    below = Path(runs) / path_or_name
    # A folder of that name that holds no run, such as one of pictures, hides no run.
    if os.path.isfile(below / "recipe.yaml") and not os.path.isfile(path / "recipe.yaml"):
        return existing(below)
    return existing(path if os.path.isdir(path) or (len(path.parts) > 1 and not os.path.isdir(below)) else below)


def with_recipe(path_or_name: str) -> tuple[Run, Recipe]:
    """A run, named as in `named`, and its recipe: the file's own words where a file is named, else what the run keeps.

    Raises:
        RecipeError: the file is no recipe.
        RunError: there is no such run.
    """
    found, path = named(path_or_name), Path(path_or_name)
    return found, recipe.load(path) if path.is_file() else found.recipe()


def to_change(path_or_name: str) -> tuple[Run, Recipe]:
    """The same for writing, with the folder where the run is now; raises RunError also where that was renamed."""
    found, wanted = with_recipe(path_or_name)
    if Path(path_or_name).is_file():
        return found, wanted
    folder = found.path.absolute()
    if folder.name != wanted.name:
        raise RunError(f"The run {found.path} was made under the name {wanted.name}; give its folder that name again.")
    return found, wanted.model_copy(update={"runs": str(folder.parent)})


def recipe_of(path_or_name: str, runs: str = "runs") -> Recipe:
    """The recipe a user names: a file, or the one that a run keeps, named as in `named`.

    Raises:
        RecipeError: the file is missing, or no recipe.
        RunError: there is no such run.
    """
    path = Path(path_or_name)
    is_file = (
        os.path.isfile(path) or path.suffix in (".yaml", ".yml") or (len(path.parts) > 1 and not os.path.isdir(path))
    )
    return recipe.load(path) if is_file else named(path_or_name, runs).recipe()
