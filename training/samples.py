"""Replies to the same validation rows before and after each stage of a training.

verl dumps the replies of every validation (`<stage>/validation/<step>.jsonl`). "Before" is the validation before a
stage's first step, or that of the checkpoint it started from. Rows are drawn by a hash of their ids, independent of
their results.
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

#: Rows shown per stage, and characters of a text on a terminal.
ROWS, TEXT = 6, 400
_COLUMNS = {"question_id": pl.String, "stage": pl.String, "problem": pl.String}


class Reply(NamedTuple):
    """A reply; `outcome` is an `Outcome`'s value or "unknown", `score` its reward (None if unknown)."""

    text: str
    outcome: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A validation row with the first reply to it before a stage and after."""

    question_id: str
    problem: str
    gold: str
    before: Reply
    after: Reply


@dataclass(frozen=True, slots=True)
class StageSamples:
    """Some of a stage's `paired` rows; `begin` and `end` name the two validations ("step 0").

    Paired are the stage's own validation rows (all rows, for a set that mixes stages) with a reply in both. `missing`
    is the reason if there are no samples.
    """

    stage: str
    begin: str = ""
    end: str = ""
    samples: Sequence[Sample] = ()
    paired: int = 0
    missing: str = ""


class _Gone(Exception):
    """A validation is missing; the text is a clause that says so."""


class _Dump(NamedTuple):
    """A validation: its name, and question id -> verl's record of the first reply."""

    name: str
    lines: Mapping[str, Mapping[str, Any]]


def of_training(run_dir: Path, folder: Path, rows: int = ROWS) -> list[StageSamples]:
    """Samples of each stage that a training has begun, in order.

    Args:
        run_dir: the run, whose stage files have the questions.
        folder: the training's, with its plan and a folder per stage.
        rows: at most so many of each stage.

    Raises:
        TrainerError: the plan or a stage file is damaged.
    """
    stages = [stage for stage in plan.load(folder / "plan.json") if stage.begun]
    questions = _questions(run_dir) if stages else pl.DataFrame()
    return [_of_stage(folder, stages, number, questions, rows) for number in range(len(stages))]


def _of_stage(
    folder: Path, stages: Sequence[StagePlan], number: int, questions: pl.DataFrame, rows: int
) -> StageSamples:
    name = stages[number].stage
    try:
        if questions.is_empty():
            raise _Gone("the run has no stage files with validation rows")
        before, after = _before(folder, stages, number), _after(folder, stages[number])
    except _Gone as gone:
        return StageSamples(name, missing=f"No replies before and after can be shown: {gone}.")
    if name in set(questions["stage"]):
        questions = questions.filter(pl.col("stage") == name)
    problems = dict(questions.select("question_id", "problem").iter_rows())
    both = sorted(problems.keys() & before.lines.keys() & after.lines.keys(), key=lambda key: digest("sample", key))
    found = [
        Sample(
            key, problems[key], _text(after.lines[key].get("gts")), *(_reply(one.lines[key]) for one in (before, after))
        )
        for key in both[:rows]
    ]
    missing = "" if found else "No validation row of its own was answered both before and after."
    return StageSamples(name, before.name, after.name, found, len(both), missing)


def _before(folder: Path, stages: Sequence[StagePlan], number: int) -> _Dump:
    """The validation before a stage's first step, else that of its parent checkpoint."""
    first = folder / stages[number].stage / "validation" / "0.jsonl"
    if first.is_file():
        return _read(first, "step 0")
    if not number or stages[number - 1].state != State.DONE:
        raise _Gone("it was not validated before its first step")
    parent = stages[number - 1]
    dump = _after(folder, parent)
    return dump._replace(name=f"{dump.name} of {parent.stage}")


def _after(folder: Path, stage: StagePlan) -> _Dump:
    """The validation of a stage's exported checkpoint; while it trains, the last one."""
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
                record = json.loads(line)
                lines.setdefault(str(record["question_id"]), record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
        raise _Gone(f"{where} is damaged, or was written before validations named their questions") from error
    return _Dump(name, lines)


def _reply(record: Mapping[str, Any]) -> Reply:
    outcome, score = record.get("outcome"), record.get("score")
    known = str(outcome) if outcome in set(Outcome) else "unknown"
    return Reply(_text(record.get("output")), known, float(score) if isinstance(score, (int, float)) else None)


def _text(value: object) -> str:
    """As valid UTF-8: JSON may contain lone surrogates."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def _questions(run_dir: Path) -> pl.DataFrame:
    """`question_id`, `stage` and `problem` of every validation row of a run."""
    frames = _validation(run_dir, list(_COLUMNS))
    rows = pl.concat([pl.DataFrame(schema=_COLUMNS), *frames]).unique("question_id")
    return rows.with_columns(pl.col("problem").str.strip_prefix(stage_files.IMAGE))


def pictures(run_dir: Path, question_ids: Collection[str]) -> dict[str, bytes]:
    """Question id -> file of its first image, as training saw it; text questions have none.

    Raises:
        TrainerError: a stage file is damaged.
    """
    first = pl.col("images").list.first().struct.field("bytes")
    frames = _validation(run_dir, ["question_id", first], pl.col("question_id").is_in(list(question_ids)))
    return {key: data for frame in frames for key, data in frame.drop_nulls().iter_rows()}


def _validation(run_dir: Path, columns: Sequence[str | pl.Expr], *wanted: pl.Expr) -> list[pl.DataFrame]:
    """The validation rows of each stage file, of the stages as built and of every order."""
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
    """Print each stage of a training as a table: question, gold answer, and the replies before and after."""
    for stage in stages:
        title = f"{name}, {stage.stage}"
        if stage.missing:
            show.remarks([f"{title}: {stage.missing}"], console)
            continue
        show.remarks([f"{title}: {len(stage.samples)} of {stage.paired} validation rows, drawn by hash"], console)
        rows = []
        for one in stage.samples:
            replies = (f"{reply.outcome}: {reply.text}" for reply in (one.before, one.after))
            rows.append([shortened(text, TEXT) for text in (one.problem, one.gold, *replies)])
        console.print(grid(("question", "gold", f"before ({stage.begin})", f"after ({stage.end})"), rows))
