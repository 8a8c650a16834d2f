"""The training rows of a stage as questions, with what the trainer will show of them and nothing else.

Text, options and answer are the row's own, so keys that people corrected hold. The picture is the row's own bytes,
which a preflight may have made smaller; engines read pictures from files, so it is written to one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from capcurriculum.rows import Question, bytes_digest
from capcurriculum.tables import Table
from training.stage_files import IMAGE, StageFiles

_COLUMNS = ("prompt", "images", "reward_model", "extra_info", "question_id", "stage", "skill", "source", "license")
_BATCH = 64


def write(files: StageFiles, questions: Table[Question], images: Path) -> int:
    """Write the questions of all training rows, each once, and their pictures; returns how many rows there are.

    Raises:
        TrainerError: a file is damaged, or a row is not shown as training shows rows.
    """
    images.mkdir(parents=True, exist_ok=True)
    known: set[str] = set()
    for rows in batches(files, _COLUMNS):
        made = [_question(row, images) for row in rows]
        fresh = {question.question_id: question for question in made if question.question_id not in known}
        known |= fresh.keys()
        questions.append(fresh.values())
    return len(known)


def batches(files: StageFiles, columns: tuple[str, ...]) -> Iterator[list[dict[str, Any]]]:
    """The training rows in their order, few at a time.

    Raises:
        TrainerError: a file is damaged.
    """
    for path in files.train:
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                there = [name for name in columns if name in file.schema_arrow.names]
                for batch in file.iter_batches(_BATCH, columns=there):
                    yield batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainerError(f"{path} is damaged ({reason}); build the run again.") from error


def _question(row: Mapping[str, Any], images: Path) -> Question:
    extra = row["extra_info"] or {}
    name, pictures = row["question_id"], row["images"] or []
    turns = [(turn["role"], turn["content"]) for turn in row["prompt"]]
    if len(turns) != 2 or turns[0] != ("system", prompts.system()) or turns[1][0] != "user":
        raise TrainerError(
            f"Row {name} is not shown with this version's system prompt, so its replies could not be compared; build "
            f"the run again."
        )
    problem = turns[1][1]
    if problem.count(IMAGE) != len(pictures) or len(pictures) > 1 or (pictures and not problem.startswith(IMAGE)):
        raise TrainerError(
            f"Row {name} does not begin with its one picture, and training.refresh asks no other rows; take it out of "
            f"the set, or leave training.refresh out."
        )
    digest, path = _saved(pictures[0]["bytes"], images) if pictures else ("", "")
    return Question(
        question_id=name,
        stage=row["stage"],
        problem=problem.removeprefix(IMAGE),
        answer=row["reward_model"]["ground_truth"],
        options=tuple(extra.get("options") or ()),
        skill=row.get("skill") or "",
        image_id=digest,
        image_path=path,
        caption="",
        caption_id="",
        source=row.get("source") or "",
        license=row.get("license") or "",
        kind=extra.get("kind") or "",
    )


def _saved(data: bytes, images: Path) -> tuple[str, str]:
    """Digest and file name of a picture, which is written unless it is there."""
    name = bytes_digest(data)
    if not (images / name).is_file():
        (images / name).write_bytes(data)
    return name, name
