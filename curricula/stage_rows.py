"""The row schema of all sets, which the Hub's dataset viewer and verl's RLHFDataset read without conversion.

The human columns have the names of the released data, the trainer columns those of verl. Images are embedded bytes, and
a text row has an empty list of the same type, so sets can be concatenated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capcurriculum import prompts, stats
from curricula import images
from curricula.keys import Indices, Keys
from curricula.store import Store

#: The dataset viewer decodes a whole row group at once.
ROW_GROUP = 100
#: Rows whose text is in memory at once.
CHUNK = 8_192


class Content(Protocol):
    """Rows to be written: their schema, and a table for each row group of the given home indices."""

    @property
    def schema(self) -> pa.Schema: ...  # noqa: D102

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]: ...  # noqa: D102


def features() -> Any:
    """The `datasets.Features` of every stage file."""
    from datasets import Features, Image, List, Value

    text, whole, real = Value("string"), Value("int64"), Value("float64")
    return Features(
        {
            "index": text,
            "problem": text,
            "answer": text,
            "images": List(Image()),
            "image_file_sha256": text,
            "source": text,
            "predictions": List(text),
            "correctness": List(Value("bool")),
            "pass_rate": real,
            "question_id": text,
            "stage": text,
            "skill": text,
            "options": List(text),
            "kind": text,
            "pass_k": whole,
            "pass_n": whole,
            "pass_unreadable": whole,
            "pass_failed": whole,
            "pass_low": real,
            "pass_high": real,
            "pass_full": Value("bool"),
            "license": text,
            "split": text,
            "data_source": text,
            "prompt": List({"role": text, "content": text}),
            "ability": text,
            "reward_model": {"style": text, "ground_truth": text},
            "extra_info": {
                "index": whole,
                "split": text,
                "question_id": text,
                "stage": text,
                "skill": text,
                "options": List(text),
                "kind": text,
            },
        }
    )


@dataclass(frozen=True)
class StageRows:
    """Complete stage rows; `folders` maps a stage to the root of its image paths, `k` is the recipe's `rollouts.k`."""

    store: Store
    keys: Keys
    folders: Mapping[str, Path]
    k: int

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the metadata of `datasets` that marks images."""
        return features().arrow_schema

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]:
        """Row groups of the home indices `rows`; the images of one group are in memory at a time."""
        for start in range(0, len(rows), CHUNK):
            places = rows[start : start + CHUNK]
            taken = self.store.take(places)
            columns = human(taken, self.keys, places, start, split, self.k)
            columns |= trainer(columns)
            stages, paths = taken["stage"].to_pylist(), taken["image_path"].to_pylist()
            names = [(self.folders[stage], path) if path else None for stage, path in zip(stages, paths, strict=True)]
            for first, group in images.groups(names, ROW_GROUP):
                part = {name: column.slice(first, len(group)) for name, column in columns.items()}
                part["images"] = embedded([name and name[1] for name in names[first : first + len(group)]], group)
                part["image_file_sha256"] = pa.array([one.file_sha256 if one else "" for one in group], pa.string())
                yield self._table(part)

    def _table(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        return pa.Table.from_arrays([columns[f.name].cast(f.type) for f in self.schema], schema=self.schema)


def human(taken: pa.Table, keys: Keys, rows: Indices, start: int, split: str, k: int) -> dict[str, pa.Array]:
    """The human columns without images; `start` is the `index` of the first row in its split.

    `correctness` is null for an unparsed or failed rollout, which the pass rate leaves out. `pass_full` is false for
    rows whose rollouts were stopped early: their pass rate and interval are biased, since stopping depends on the
    replies before.
    """
    right, readable = keys.k[rows].astype(np.int64), keys.n[rows].astype(np.int64)
    low, high = stats.wilson(right, readable)
    given = (
        "answer", "source", "predictions", "correctness", "question_id", "stage", "skill", "options", "kind", "license",
    )  # fmt: skip
    columns = {name: taken[name].combine_chunks() for name in given}
    placeholder = pc.if_else(pc.equal(taken["image_path"], ""), "", "<image>")
    columns["problem"] = pc.binary_join_element_wise(placeholder, taken["problem"], "").combine_chunks()
    return columns | {
        "index": pa.array(np.arange(start, start + len(rows))).cast(pa.string()),
        "pass_rate": pa.array(stats.pass_rate(right, readable)),
        "pass_k": pa.array(right),
        "pass_n": pa.array(readable),
        "pass_unreadable": pa.array(keys.unreadable[rows].astype(np.int64)),
        "pass_failed": pa.array(keys.failed[rows].astype(np.int64)),
        "pass_low": pa.array(low),
        "pass_high": pa.array(high),
        "pass_full": pa.array(keys.asked[rows] >= k),
        "split": pa.repeat(split, len(rows)),
    }


def trainer(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """verl's columns, from the human ones."""
    rows = len(columns["problem"])
    number = pc.cast(columns["index"], pa.int64())
    copied = {name: columns[name] for name in ("split", "question_id", "stage", "skill", "options", "kind")}
    return {
        "data_source": pc.binary_join_element_wise("capcurriculum/", columns["stage"], ""),
        "prompt": _turns(columns["problem"]),
        "ability": columns["stage"],
        "reward_model": _struct({"style": pa.repeat("rule", rows), "ground_truth": columns["answer"]}),
        "extra_info": _struct({"index": number} | copied),
    }


def embedded(paths: list[str | None], images: list[images.RowImage | None]) -> pa.Array:
    """The `images` column: a list of one image as `datasets.Image` stores it, or an empty list."""
    there = np.array([one is not None for one in images], dtype=np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(there)]), pa.int32())
    data = pa.array([one.data for one in images if one is not None], pa.binary())
    names = pa.array([Path(path).name for path in paths if path], pa.string())
    return pa.ListArray.from_arrays(offsets, _struct({"bytes": data, "path": names}))


def _turns(problems: pa.Array) -> pa.Array:
    """Two chat turns for each row: the system prompt, which is in memory once, and the problem."""
    rows = len(problems)
    texts = pa.concat_arrays([pa.array([prompts.system()]), problems])
    pairs = np.stack([np.zeros(rows, dtype=np.int64), np.arange(1, rows + 1)], axis=1).ravel()
    roles = pa.array(["system", "user"]).take(pa.array(np.tile([0, 1], rows)))
    turns = _struct({"role": roles, "content": texts.take(pa.array(pairs))})
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * 2, pa.int32()), turns)


def _struct(fields: Mapping[str, pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
