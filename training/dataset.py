"""A stage's parquet files, and what is wrong with them as training data, found before a trainer starts.

verl would notice most of it minutes later, or never: a row whose gold answer cannot be rewarded only makes the curve
flat. Every row is read, image bytes are not decoded, and memory holds one batch of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from training.plan import files_digest
from training.reward import compute_score

#: What verl and the reward read of a row.
COLUMNS = ("data_source", "prompt", "images", "ability", "reward_model", "extra_info")
IMAGE = "<image>"
_BATCH = 512  # rows


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The files of one stage; `rows` counts the training rows."""

    stage: str
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    rows: int
    digest: str


def stage_files(run_dir: Path, stage: str) -> StageFiles:
    """The files of a stage under `run_dir/stages`; raises what `set_files` raises."""
    return set_files(stage, [run_dir / "stages" / stage])


def set_files(name: str, folders: Sequence[Path]) -> StageFiles:
    """The files of a set: training files of its folders one after the other, validation files of the first.

    Raises:
        TrainerError: there are none, or one is not parquet.
    """
    there = [folder.absolute() for folder in folders]
    train = tuple(path for folder in there for path in sorted(folder.glob("train-*.parquet")))
    val = tuple(sorted(there[0].glob("val-*.parquet")))
    for split, paths in (("train", train), ("val", val)):
        if not paths:
            raise TrainerError(
                f"Stage {name} has no {split} files in {there[0]}; build the run first (capcurriculum build)."
            )
    try:
        rows = sum(pq.read_metadata(path).num_rows for path in train)
    except (OSError, ValueError) as error:
        raise TrainerError(f"A training file in {there[0]} cannot be read ({error}); build the run again.") from error
    return StageFiles(name, train, val, rows, files_digest([*train, *val]))


def preflight(files: StageFiles) -> None:
    """Check every row of the stage.

    Raises:
        TrainerError: naming the first file, row and fault.
    """
    for path in (*files.train, *files.val):
        missing = sorted(set(COLUMNS) - set(pq.read_schema(path).names))
        if missing:
            raise TrainerError(f"{path} lacks the columns {', '.join(missing)}; build the run again with this version.")
        for number, row in enumerate(_rows(path)):
            fault = _fault(row)
            if fault:
                raise TrainerError(f"{path}, row {number} ({row['extra_info'].get('question_id')}): {fault}.")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=list(COLUMNS)):
            images = pc.fill_null(pc.list_value_length(batch["images"]), 0)  # the bytes never become Python objects
            yield from batch.drop_columns(["images"]).append_column("images", images).to_pylist()


def _fault(row: dict[str, Any]) -> str:
    turns = row["prompt"]
    if [turn["role"] for turn in turns] != ["system", "user"]:
        return "its prompt is not a system turn and a user turn; build it again"
    if turns[0]["content"] != prompts.system():
        return "its system turn is not this version's system prompt; build it again"
    placeholders = turns[1]["content"].count(IMAGE)
    if placeholders != row["images"]:
        return f"it has {placeholders} {IMAGE} placeholders and {row['images']} images; drop or mend the row"
    return _reward_fault(row)


def _reward_fault(row: dict[str, Any]) -> str:
    gold, options = row["reward_model"]["ground_truth"], list(row["extra_info"].get("options") or [])
    if options and gold not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]:
        return f"its gold answer {gold!r} is the letter of none of its {len(options)} options; drop or mend the row"
    if _accuracy(row, gold) != 1.0:
        return f"its gold answer {gold!r} earns no reward when it is given; drop or mend the row"
    if _accuracy(row, _another(gold, options)) != 0.0:
        return f"a wrong answer earns the reward of its gold answer {gold!r}; drop or mend the row"
    return ""


def _accuracy(row: dict[str, Any], answer: str) -> float:
    reply = f"<think>I looked.</think> \\boxed{{{answer}}}"
    score = compute_score(row["data_source"], reply, row["reward_model"]["ground_truth"], row["extra_info"])
    return float(score["accuracy"])


def _another(gold: str, options: list[str]) -> str:
    """An answer that is not `gold`: another letter, or a number no problem of ours has (7919 and 7907 are primes)."""
    if options:
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[1 if gold == "A" else 0]
    return "7919" if "7919" not in gold else "7907"
