"""One row schema for all sets, which the Hub viewer and verl's RLHFDataset both read unconverted.

The human columns keep the released data's names; the trainer columns are verl's. Pictures are embedded bytes, and a
text row has an empty list of the same type, so sets can be concatenated.
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
from curricula import pictures
from curricula.keys import Indices, Keys
from curricula.store import Store

#: The dataset viewer decodes a whole row group at once.
ROW_GROUP = 100
#: Rows whose text is in memory at once.
CHUNK = 8_192


class Content(Protocol):
    """What is written of rows: their schema, and one table for each row group."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every table."""
        ...

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]:
        """Row groups that hold these home places in this order."""
        ...


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
    """Whole stage rows; `folders` lead from a stage to what its picture paths are relative to, `k` is the recipe's."""

    store: Store
    keys: Keys
    folders: Mapping[str, Path]
    k: int

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with what `datasets` needs to see pictures in it."""
        return features().arrow_schema

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]:
        """Row groups; pictures are read when their group is asked for, and no other is in memory then."""
        for start in range(0, len(rows), CHUNK):
            places = rows[start : start + CHUNK]
            taken = self.store.take(places)
            columns = human(taken, self.keys, places, start, split, self.k)
            columns |= trainer(columns)
            stages, paths = taken["stage"].to_pylist(), taken["image_path"].to_pylist()
            names = [(self.folders[stage], path) if path else None for stage, path in zip(stages, paths, strict=True)]
            for first, group in pictures.groups(names, ROW_GROUP):
                part = {name: column.slice(first, len(group)) for name, column in columns.items()}
                part["images"] = embedded([name and name[1] for name in names[first : first + len(group)]], group)
                part["image_file_sha256"] = pa.array([one.file_sha256 if one else "" for one in group], pa.string())
                yield self._table(part)

    def _table(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        return pa.Table.from_arrays([columns[f.name].cast(f.type) for f in self.schema], schema=self.schema)


def human(taken: pa.Table, keys: Keys, rows: Indices, start: int, split: str, k: int) -> dict[str, pa.Array]:
    """The columns for people, pictures aside; `start` is the first row's `index`, its place in the set's split.

    `correctness` is null where a rollout's answer is unknown, and the pass rate leaves such a rollout out. Where
    `pass_full` is false, rollouts were stopped early, and pass rate and interval say so much and no more: which replies
    were left out depended on those before, so they are no unbiased estimate.
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
        "split": _constant(split, len(rows)),
    }


def trainer(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """verl's columns, made from those for people."""
    rows = len(columns["problem"])
    number = pc.cast(columns["index"], pa.int64())
    told = {name: columns[name] for name in ("split", "question_id", "stage", "skill", "options", "kind")}
    return {
        "data_source": pc.binary_join_element_wise("capcurriculum/", columns["stage"], ""),
        "prompt": _turns(columns["problem"]),
        "ability": columns["stage"],
        "reward_model": _struct({"style": _constant("rule", rows), "ground_truth": columns["answer"]}),
        "extra_info": _struct({"index": number} | told),
    }


def embedded(paths: list[str | None], images: list[pictures.Picture | None]) -> pa.Array:
    """The `images` column: a list of one picture as `datasets.Image` stores it, or an empty list."""
    there = np.array([one is not None for one in images], dtype=np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(there)]), pa.int32())
    data = pa.array([one.data for one in images if one is not None], pa.binary())
    names = pa.array([Path(path).name for path in paths if path], pa.string())
    return pa.ListArray.from_arrays(offsets, _struct({"bytes": data, "path": names}))


def _turns(problems: pa.Array) -> pa.Array:
    """Two chat turns a row: the unified system prompt, which is stored once in memory, and the problem."""
    rows = len(problems)
    texts = pa.concat_arrays([pa.array([prompts.system()]), problems])
    pairs = np.stack([np.zeros(rows, dtype=np.int64), np.arange(1, rows + 1)], axis=1).ravel()
    roles = pa.array(["system", "user"]).take(pa.array(np.tile([0, 1], rows)))
    turns = _struct({"role": roles, "content": texts.take(pa.array(pairs))})
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * 2, pa.int32()), turns)


def _constant(text: str, rows: int) -> pa.Array:
    return pa.array([text]).take(pa.array(np.zeros(rows, dtype=np.int64)))


def _struct(fields: Mapping[str, pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
