"""Rows for supervised fine-tuning on captions: the images of a set, each once, with what its caption says of it.

The paper's ablation teaches stage 1 by captions in place of questions. Here they are the captions that the set's own
questions were made from, so both ways see the same images. The files are made from the set's when they are needed.
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

#: What the model is asked for; verl's own template of the model is around it, without a system turn of ours.
PROMPT = "Describe this image in detail."
#: What verl would take for an image or a video to come.
_PLACEHOLDER = re.compile(r"<(?:image|video)>")
_VERSION = 1
_DIGEST = b"capcurriculum"
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_IMAGE = pa.struct([("bytes", pa.binary()), ("min_pixels", pa.int64()), ("max_pixels", pa.int64())])
_SCHEMA = pa.schema([("question_id", pa.string()), ("messages", pa.list_(_TURN)), ("images", pa.list_(_IMAGE))])


def files(run: Run, taught: StageFiles, folder: Path, knobs: Knobs) -> StageFiles:
    """What a link that teaches the captions of the set `taught` reads, in `folder`; the files need not exist yet.

    Raises:
        TrainerError: a row of the set has no caption.
    """
    train, val = (by_question(run, paths, taught.stage) for paths in (taught.train, taught.val))
    said = digest(_VERSION, PROMPT, [*train.items()], [*val.items()], taught.digest, knobs.min_pixels, knobs.max_pixels)
    return StageFiles(taught.stage, (folder / "train.parquet",), (folder / "val.parquet",), len(train), said)


def write(run: Run, taught: StageFiles, made: StageFiles, knobs: Knobs) -> None:
    """Write the files, unless they are there."""
    for (target,), paths in ((made.train, taught.train), (made.val, taught.val)):
        if not _is_there(target, made.digest):
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
    """Question -> caption, for the first question about each image in the order of the files.

    Raises:
        TrainerError: a row has no caption.
    """
    ids = pl.concat([pl.read_parquet(path, columns=["question_id"], glob=False) for path in paths])
    known = run.questions.frame("question_id", "image_id", "caption").unique("question_id")
    rows = ids.join(known, on="question_id", how="left", maintain_order="left")
    if bare := rows.filter(pl.col("caption").fill_null("") == "").height:
        raise TrainerError(
            f"Stage {stage} cannot be taught by method: sft, since {bare} of its {rows.height} rows have no caption; "
            f"only a stage made from captioned images can."
        )
    rows = rows.unique("image_id", keep="first", maintain_order=True)
    return dict(rows.select("question_id", "caption").iter_rows())


def _rows(path: Path, captions: Mapping[str, str], knobs: Knobs) -> Iterator[list[dict[str, Any]]]:
    """The rows of one file that have a caption to teach, a batch at a time."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            batch = file.read_row_group(group, columns=["question_id", "images"])
            wanted = pa.array([name in captions for name in batch["question_id"].to_pylist()], pa.bool_())
            yield [_row(row, captions[row["question_id"]], knobs) for row in batch.filter(wanted).to_pylist()]


def told(run: Run, taught: StageFiles) -> dict[str, str]:
    """Question -> caption, for every row of the set `taught` that has one to teach.

    Raises:
        TrainerError: a row of the set has no caption.
    """
    return by_question(run, taught.train, taught.stage) | by_question(run, taught.val, taught.stage)


def turns(images: int, caption: str) -> list[dict[str, str]]:
    """What is said of so many images."""
    said = (("user", f"{IMAGE * images}{PROMPT}"), ("assistant", _PLACEHOLDER.sub("", caption)))
    return [{"role": role, "content": content} for role, content in said]


def _row(row: Mapping[str, Any], caption: str, knobs: Knobs) -> dict[str, Any]:
    limits = {"min_pixels": knobs.min_pixels, "max_pixels": knobs.max_pixels}
    return {
        "question_id": row["question_id"],
        "messages": turns(len(row["images"]), caption),
        "images": [{"bytes": image["bytes"], **limits} for image in row["images"]],
    }


def _is_there(path: Path, said: str) -> bool:
    if not path.is_file():
        return False
    try:
        checksums.check([path])
    except RunError:
        return False  # to be written again
    return (pq.read_schema(path).metadata or {}).get(_DIGEST) == said.encode()
