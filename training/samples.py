"""What a training changed, row by row: replies to the same validation rows before and after each of its stages.

verl writes down what was said at every validation (`<stage>/validation/<step>.jsonl`). A stage begins with the
validation before its first step, or with that of the checkpoint which the stage before passed on. Rows are drawn by a
hash of their ids, so nobody chose them by how they came out.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console

from capcurriculum.errors import TrainerError
from capcurriculum.files import checksums
from capcurriculum.ledger import show
from capcurriculum.render.markdown import shortened
from capcurriculum.render.table import grid
from capcurriculum.rows import Outcome, digest
from training import plan, stage_files
from training.plan import StagePlan, State

#: Rows of a stage that are shown, and characters of a text on a terminal.
ROWS, TEXT = 6, 400
_ASKED = {"question_id": pl.String, "stage": pl.String, "problem": pl.String}


class Reply(NamedTuple):
    """What was said; `outcome` is an `Outcome`'s value or "unknown", `score` what it was rewarded (None: unknown)."""

    text: str
    outcome: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One validation row, with the first of the replies to it before a stage and after."""

    question_id: str
    problem: str
    gold: str
    before: Reply
    after: Reply


@dataclass(frozen=True, slots=True)
class StageSamples:
    """Some of a stage's `paired` rows; `begin` and `end` name the validations ("step 0").

    Paired are rows that were answered in both validations: those of the stage itself, where its name is that of a
    stage, else all. `missing` says why none is there.
    """

    stage: str
    begin: str = ""
    end: str = ""
    samples: Sequence[Sample] = ()
    paired: int = 0
    missing: str = ""


class _Gone(Exception):
    """A validation that is not there; the text is a clause that says so."""


class _Dump(NamedTuple):
    """A validation: what it is called, and verl's line of the first reply to each question."""

    name: str
    lines: Mapping[str, Mapping[str, Any]]


def of_training(run_dir: Path, folder: Path, rows: int = ROWS) -> list[StageSamples]:
    """The stages that a training has begun, in their order; at most so many rows of each.

    Args:
        run_dir: the run, whose stage files have the questions.
        folder: the training's, with its plan and a folder for each stage.

    Raises:
        TrainerError: the plan or a stage file is damaged.
    """
    stages = [stage for stage in plan.load(folder / "plan.json") if stage.begun]
    asked = _asked(run_dir) if stages else pl.DataFrame()
    return [_of_stage(folder, stages, number, asked, rows) for number in range(len(stages))]


def _of_stage(folder: Path, stages: Sequence[StagePlan], number: int, asked: pl.DataFrame, rows: int) -> StageSamples:
    name = stages[number].stage
    try:
        if asked.is_empty():
            raise _Gone("the run has no stage files with validation rows")
        before, after = _beginning(folder, stages, number), _end(folder, stages[number])
    except _Gone as gone:
        return StageSamples(name, missing=f"No replies before and after can be shown: {gone}.")
    own = asked.filter(pl.col("stage") == name) if name in set(asked["stage"]) else asked
    problems = dict(own.select("question_id", "problem").iter_rows())
    both = sorted(problems.keys() & before.lines.keys() & after.lines.keys(), key=lambda key: digest("sample", key))
    found = [_sample(key, problems[key], before.lines[key], after.lines[key]) for key in both[:rows]]
    missing = "" if found else "No validation row of its own was answered both before and after."
    return StageSamples(name, before.name, after.name, found, len(both), missing)


def _beginning(folder: Path, stages: Sequence[StagePlan], number: int) -> _Dump:
    """The validation before a stage's first step: its own, else that of the checkpoint which it started from."""
    own = folder / stages[number].stage / "validation" / "0.jsonl"
    if own.is_file():
        return _read(own, "step 0")
    if not number or stages[number - 1].state != State.DONE:
        raise _Gone("it was not validated before its first step")
    parent = stages[number - 1]
    dump = _end(folder, parent)
    return dump._replace(name=f"{dump.name} of {parent.stage}")


def _end(folder: Path, stage: StagePlan) -> _Dump:
    """The validation of the checkpoint that a stage passed on; while it trains, the last."""
    validations = folder / stage.stage / "validation"
    steps = [int(path.stem) for path in validations.glob("*.jsonl") if path.stem.isdecimal()]
    step = stage.selected_step if stage.state == State.DONE else max(steps, default=0)
    if step not in steps or not step:
        raise _Gone(f"{stage.stage} has no validation {f'of step {step}' if step else 'after its beginning'}")
    return _read(validations / f"{step}.jsonl", f"step {step}")


def _read(path: Path, name: str) -> _Dump:
    lines: dict[str, Mapping[str, Any]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                told = json.loads(line)
                lines.setdefault(str(told["question_id"]), told)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
        raise _Gone(f"{where} is damaged, or was written before validations named their questions") from error
    return _Dump(name, lines)


def _sample(key: str, problem: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sample:
    return Sample(key, problem, _text(after.get("gts")), _reply(before), _reply(after))


def _reply(told: Mapping[str, Any]) -> Reply:
    outcome, score = told.get("outcome"), told.get("score")
    known = str(outcome) if outcome in set(Outcome) else "unknown"
    return Reply(_text(told.get("output")), known, float(score) if isinstance(score, (int, float)) else None)


def _text(value: object) -> str:
    """As text that can be written: JSON may spell half a character, which no file takes."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def _asked(run_dir: Path) -> pl.DataFrame:
    """`question_id`, `stage` and `problem` of every validation row of a run, in whichever order."""
    frames = _validation(run_dir, list(_ASKED))
    rows = pl.concat([pl.DataFrame(schema=_ASKED), *frames]).unique("question_id")
    return rows.with_columns(pl.col("problem").str.strip_prefix(stage_files.IMAGE))


def pictures(run_dir: Path, question_ids: Collection[str]) -> dict[str, bytes]:
    """The file of each question's first picture, as training saw it; text questions have none.

    Raises:
        TrainerError: a stage file is damaged.
    """
    first = pl.col("images").list.first().struct.field("bytes")
    frames = _validation(run_dir, ["question_id", first], pl.col("question_id").is_in(list(question_ids)))
    return {key: data for frame in frames for key, data in frame.drop_nulls().iter_rows()}


def _validation(run_dir: Path, columns: Sequence[str | pl.Expr], *wanted: pl.Expr) -> list[pl.DataFrame]:
    """Validation rows of the stage files and of every order, which are the same rows; a frame a file."""
    frames = []
    for path in sorted([*run_dir.glob("stages/*/val-*.parquet"), *run_dir.glob("curricula/*/**/val-*.parquet")]):
        checksums.check([path], pictures=len(wanted) > 0)
        try:
            frames.append(pl.scan_parquet(path, glob=False).filter(*wanted).select(columns).collect())
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainerError(f"The stage file {path} cannot be read ({reason}); build the run again.") from error
    return frames


def show_samples(name: str, stages: Sequence[StageSamples], console: Console) -> None:
    """Each stage of a training as a table: question, right answer, and what was said before and after."""
    for stage in stages:
        title = f"{name}, {stage.stage}"
        if stage.missing:
            show.remarks([f"{title}: {stage.missing}"], console)
            continue
        show.remarks([f"{title}: {len(stage.samples)} of {stage.paired} validation rows, drawn by hash"], console)
        texts = [(one.problem, one.gold, _said(one.before), _said(one.after)) for one in stage.samples]
        rows = [[shortened(text, TEXT) for text in line] for line in texts]
        console.print(grid(("question", "gold", f"before ({stage.begin})", f"after ({stage.end})"), rows))


def _said(reply: Reply) -> str:
    return f"{reply.outcome}: {reply.text}"
