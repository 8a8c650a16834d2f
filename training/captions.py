"""Rows for supervised fine-tuning on captions: each image of a set once, with its caption.

The paper's ablation trains stage 1 on captions instead of questions. Here they are the captions from which the set's
own questions were made, so both variants see the same images. The files are made from the set's files when they are
needed.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import RunError, TrainerError
from capcurriculum.files import checksums
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.rows import digest
from capcurriculum.run import Run
from training.knobs import Knobs
from training.stage_files import IMAGE, StageFiles

#: The user turn, inside verl's chat template of the model and without a system turn.
PROMPT = "Describe this image in detail."
#: verl would replace these in a caption by an image or a video.
_PLACEHOLDER = re.compile(r"<(?:image|video)>")
_VERSION = 1
_DIGEST = b"capcurriculum"
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_IMAGE = pa.struct([("bytes", pa.binary()), ("min_pixels", pa.int64()), ("max_pixels", pa.int64())])
_SCHEMA = pa.schema([("question_id", pa.string()), ("messages", pa.list_(_TURN)), ("images", pa.list_(_IMAGE))])


def files(run: Run, taught: StageFiles, folder: Path, knobs: Knobs) -> StageFiles:
    """The files in `folder` for a link that trains on the captions of the set `taught`; they need not exist yet.

    Raises:
        TrainerError: a row of the set has no caption.
    """
    train, val = (by_question(run, paths, taught.stage) for paths in (taught.train, taught.val))
    content = [_VERSION, PROMPT, [*train.items()], [*val.items()], taught.digest, knobs.min_pixels, knobs.max_pixels]
    train_file, val_file = folder / "train.parquet", folder / "val.parquet"
    return StageFiles(taught.stage, (train_file,), (val_file,), len(train), digest(*content))


def write(run: Run, taught: StageFiles, made: StageFiles, knobs: Knobs) -> None:
    """Write the files, unless they are there."""
    for (target,), paths in ((made.train, taught.train), (made.val, taught.val)):
        if _is_complete(target, made.digest):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}")
        captions = by_question(run, paths, taught.stage)
        with removed_if_it_fails(temporary):
            with pq.ParquetWriter(temporary, _SCHEMA.with_metadata({_DIGEST: made.digest.encode()})) as writer:
                for path in paths:
                    for rows in _rows(path, captions, knobs):
                        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
            with temporary.open("r+b") as file:
                checksums.seal(file)
            os.replace(temporary, target)


def by_question(run: Run, paths: Sequence[Path], stage: str) -> dict[str, str]:
    """Question id -> caption, for the first question about each image in the order of the files.

    Raises:
        TrainerError: a row has no caption.
    """
    ids = pl.concat([pl.read_parquet(path, columns=["question_id"], glob=False) for path in paths])
    known = run.questions.frame("question_id", "image_id", "caption").unique("question_id")
    rows = ids.join(known, on="question_id", how="left", maintain_order="left")
    if missing := rows.filter(pl.col("caption").fill_null("") == "").height:
        raise TrainerError(
            f"Stage {stage} cannot be taught by method: sft, since {missing} of its {rows.height} rows have no "
            f"caption; only a stage made from captioned images can."
        )
    rows = rows.unique("image_id", keep="first", maintain_order=True)
    return dict(rows.select("question_id", "caption").iter_rows())


def turns(images: int, caption: str) -> list[dict[str, str]]:
    """The chat turns of a row with so many images."""
    user = {"role": "user", "content": f"{IMAGE * images}{PROMPT}"}
    return [user, {"role": "assistant", "content": _PLACEHOLDER.sub("", caption)}]


def _rows(path: Path, captions: Mapping[str, str], knobs: Knobs) -> Iterator[list[dict[str, Any]]]:
    """The rows for one file, one batch per row group."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            batch = file.read_row_group(group, columns=["question_id", "images"])
            wanted = pa.array([name in captions for name in batch["question_id"].to_pylist()], pa.bool_())
            yield [_row(row, captions[row["question_id"]], knobs) for row in batch.filter(wanted).to_pylist()]


def _row(row: Mapping[str, Any], caption: str, knobs: Knobs) -> dict[str, Any]:
    limits = {"min_pixels": knobs.min_pixels, "max_pixels": knobs.max_pixels}
    return {
        "question_id": row["question_id"],
        "messages": turns(len(row["images"]), caption),
        "images": [{"bytes": image["bytes"], **limits} for image in row["images"]],
    }


def _is_complete(path: Path, expected: str) -> bool:
    if not path.is_file():
        return False
    try:
        checksums.check([path])
    except RunError:
        return False  # damaged, so it is written again
    return (pq.read_schema(path).metadata or {}).get(_DIGEST) == expected.encode()
