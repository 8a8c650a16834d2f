"""`order.json`: the description of an order, its sets and their files."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import AfterValidator, BaseModel, Field

from capcurriculum import prompts
from capcurriculum.files import checked_json, json_file
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.rows import digest
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from curricula import hashing
from curricula.keys import Indices, Keys, Numbers
from curricula.order import OrderedSet
from curricula.split import SPLITS

NAME = "order.json"
#: Every row of the order in its order, without texts and images.
LISTING = "rows.parquet"
#: To be raised when the same rows would be written as other bytes.
VERSION = 1


def _not_reserved(name: str) -> str:
    if name.split("/")[0] in (NAME, LISTING):
        raise ValueError(f"a set cannot be called {name}, as a file beside the sets is")
    return name


#: A set's name, which becomes a folder; with epochs there is one below it.
SetName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}(/epoch-[0-9]{1,4})?$"),
    AfterValidator(_not_reserved),
]


class _Set(BaseModel):
    name: SetName
    digest: str
    files: dict[str, int]


class _File(BaseModel):
    order: dict[str, Any]
    sets: list[_Set]


def describe(order: OrderSection, sets: list[OrderedSet], keys: Keys, recipe: Recipe) -> dict[str, Any]:
    """The description of an order; equal descriptions mean equal files."""
    rows = keys.digest()
    about = {"version": VERSION, "order": order.described(), "seed": recipe.seed, "rows": rows}
    basis = digest(VERSION, rows, recipe.rollouts.k, prompts.system())
    return about | {"sets": [_set(ordered, keys, basis) for ordered in sets]}


def _set(ordered: OrderedSet, keys: Keys, basis: str) -> dict[str, Any]:
    splits = {split: _split(rows, keys) for split, rows in zip(SPLITS, ordered.rows, strict=True)}
    ids = [split["ids"] for split in splits.values()]
    return {"name": ordered.name, "digest": digest(basis, ids), "splits": splits}


def _split(rows: Indices, keys: Keys) -> dict[str, Any]:
    """Counts of rows, and the first 16 hex digits of the SHA-256 of their ids in order, eight bytes each."""
    numbers = np.bincount(keys.stage[rows], minlength=len(keys.taught)).tolist()
    stages = {stage: number for stage, number in zip(keys.taught, numbers, strict=True) if number}
    ids = hashlib.sha256(keys.key[rows].astype(">u8").tobytes()).hexdigest()[:16]
    return {"rows": len(rows), "stages": stages, "ids": ids}


def listing(sets: list[OrderedSet], keys: Keys) -> pl.DataFrame:
    """Every row of an order, in its order: set, split, index, id, labels and pass rate.

    `question_id` is the key in hex, which equals the id for ids of 16 hex digits.
    """
    parts = [(one.name, split, rows) for one in sets for split, rows in zip(SPLITS, one.rows, strict=True)]
    places = np.concatenate([rows for _, _, rows in parts])
    sizes = [len(rows) for _, _, rows in parts]
    labels = {name: keys.labels(name) for name in ("stage", "skill", "source")}
    return pl.DataFrame(
        {
            "set": _repeated([name for name, _, _ in parts], sizes),
            "split": _repeated([split for _, split, _ in parts], sizes),
            "index": np.concatenate([np.arange(size, dtype=np.uint32) for size in sizes]),
            "question_id": _hex(keys.key[places]),
            **{name: _named(codes.names, codes.codes[places]) for name, codes in labels.items()},
            "pass_k": keys.k[places],
            "pass_n": keys.n[places],
            "pass_rate": keys.k[places] / keys.n[places],
        }
    )


def _repeated(names: list[str], sizes: list[int]) -> pl.Series:
    found = tuple(dict.fromkeys(names))
    return _named(found, np.repeat([found.index(name) for name in names], sizes))


def _named(names: tuple[str, ...], codes: Numbers) -> pl.Series:
    """Codes as a dictionary-encoded column of names."""
    return pl.Series(pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string())))


def _hex(keys: hashing.Keys) -> pl.Series:
    """Numbers as 16 hex digits each."""
    digits = keys.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(keys) + 1, dtype=np.int64) * 16
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pl.Series(pa.Array.from_buffers(pa.large_string(), len(keys), buffers))


def write(folder: Path, about: dict[str, Any], run: Run) -> None:
    """Write `order.json` into `folder`, with the files of its complete sets and a digest of the run's tables."""
    sets = [one | {"files": _files(folder / one["name"])} for one in about["sets"]]
    tables = {table.folder.name: _table(table.shards()) for table in (run.questions, run.answers, run.verdicts)}
    write_atomically(folder / NAME, checked_json.encode(about | {"sets": sets, "tables": tables}, ascii_only=False))


def _files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))}


def _table(shards: list[Path]) -> dict[str, Any]:
    return {"shards": len(shards), "digest": digest([[path.name, path.stat().st_size] for path in shards])}


def read(folder: Path) -> dict[str, Any] | None:
    """The description in `folder`; None if it is missing or invalid, or if its files are not those on disk."""
    try:
        found = json_file.mapping(folder / NAME)
        _File.model_validate(found)
        there = all(one["files"] and _files(folder / one["name"]) == one["files"] for one in found["sets"])
    except (OSError, ValueError):
        return None
    return found if there else None


def complete(folder: Path, about: dict[str, Any]) -> bool:
    """Whether `folder` holds the described order."""
    found = read(folder)
    if found is None:
        return False
    bare = [{key: value for key, value in one.items() if key != "files"} for one in found["sets"]]
    return {key: value for key, value in found.items() if key != "tables"} | {"sets": bare} == about


def folders(run: Run) -> list[Path]:
    """Folders of the run's orders, the default one first."""
    return [run.stages, *sorted(path for path in (run.path / "curricula").glob("[!.]*") if path.is_dir())]


def known(run: Run) -> dict[str, Path]:
    """Digest -> folder of every complete set of the run."""
    orders = [(folder, found) for folder in folders(run) if (found := read(folder))]
    return {one["digest"]: folder / one["name"] for folder, found in orders for one in found["sets"]}
