"""A run directory is the truth about a build; everything else is a query over it.

One process writes at a time (an advisory lock that dies with its process). A run is opened with a recipe, and refuses
to go on under one that could change a result.
"""

import fcntl
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

from capcurriculum import __version__, recipe
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.recipe import Recipe
from capcurriculum.rows import SCHEMA, Answer, Attempt, CaptionedImage, Question, Verdict
from capcurriculum.tables import Table, write_atomically

_RECORDED = ("datasets", "polars", "pyarrow", "pillow", "torch", "transformers", "openai", "vllm", "verl")


@dataclass(frozen=True, slots=True)
class Run:
    """The tables and files of one run directory."""

    path: Path

    @property
    def captions(self) -> Table[CaptionedImage]:
        """What the caption sources gave."""
        return Table(self.path / "captions", CaptionedImage)

    @property
    def attempts(self) -> Table[Attempt]:
        """Every try of the teacher."""
        return Table(self.path / "attempts", Attempt)

    @property
    def questions(self) -> Table[Question]:
        """Questions of all stages."""
        return Table(self.path / "questions", Question)

    @property
    def answers(self) -> Table[Answer]:
        """Graded replies of solvers."""
        return Table(self.path / "answers", Answer)

    @property
    def verdicts(self) -> Table[Verdict]:
        """The ledger of keeping and dropping."""
        return Table(self.path / "verdicts", Verdict)

    @property
    def stages(self) -> Path:
        """Where the stage files are."""
        return self.path / "stages"

    @property
    def plan(self) -> Path:
        """The chain of training runs."""
        return self.path / "training" / "plan.json"

    def recipe(self) -> Recipe:
        """The resolved recipe the run was made with."""
        return recipe.load(self.path / "recipe.yaml")

    def event(self, kind: str, **values: object) -> None:
        """Append one line to events.jsonl; a torn last line of a killed process does not matter to readers."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": kind, **values})
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def events(self) -> Iterator[dict[str, object]]:
        """Whole lines of events.jsonl, oldest first."""
        path = self.path / "events.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # a line torn by a kill


def existing(path: Path) -> Run:
    """A run to read from.

    Raises:
        RunError: there is none at `path`.
    """
    if not (path / "recipe.yaml").is_file():
        raise RunError(f"There is no run at {path}: it has no recipe.yaml; name a folder such as runs/demo.")
    return Run(path)


@contextmanager
def writing(wanted: Recipe) -> Iterator[Run]:
    """Open the recipe's run for writing, new or to be continued.

    Raises:
        RunError: another process is writing it.
        RecipeError: it was made with a recipe that differs where it matters; the sentence lists the keys.
    """
    run = Run(wanted.run_dir)
    run.path.mkdir(parents=True, exist_ok=True)
    with _locked(run.path):
        _check_recipe(run, wanted)
        _sweep(run.path)
        yield run


def _sweep(path: Path) -> None:
    """Remove what a killed process left half-written."""
    for leftover in path.glob("*/.tmp-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RunError(f"Another process is writing {path}; wait for it to end, or stop it.") from error
    try:
        yield
    finally:
        os.close(handle)


def same_recipe(run: Run, wanted: Recipe) -> bool:
    """Whether the run was begun under this recipe; False if it was not begun at all.

    Raises:
        RecipeError: it was begun under one that differs where it matters; the sentence lists the keys.
    """
    if not (run.path / "recipe.yaml").is_file():
        return False
    if changed := recipe.differences(run.recipe(), wanted):
        raise RecipeError(
            f"The run {run.path} was made with another recipe; it differs in {'; '.join(changed)}. "
            "Give the recipe another name, or set these keys back."
        )
    return True


def _check_recipe(run: Run, wanted: Recipe) -> None:
    if not same_recipe(run, wanted):
        versions = {name: _version(name) for name in _RECORDED}
        about = {"capcurriculum": __version__, "schema": SCHEMA, "seed": wanted.seed, "versions": versions}
        about |= {"python": platform.python_version(), "created": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomically(run.path / "run.json", (json.dumps(about, indent=1) + "\n").encode())
    write_atomically(run.path / "recipe.yaml", recipe.dump(wanted).encode())


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
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        return existing(recipe.load(path).run_dir)
    return existing(path if path.is_dir() else Path(runs) / path_or_name)
