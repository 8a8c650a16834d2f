"""A repo as we publish it: what its `order.json` says, believed only as far as the files bear it out."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import HubError
from capcurriculum.files import json_file
from curricula import order_file
from curricula.split import SPLITS
from curricula.stage_rows import features
from hub.download.fetch import Snapshot, safe
from hub.publish.stage import FORMAT, PUBLISHED, sha256
from training.preflight.rows.schema import FIELDS

_SHARD = re.compile(rf"({'|'.join(SPLITS)})-[0-9]{{5}}-of-[0-9]{{5}}\.parquet")


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SaidFile(_Said):
    """A shard as its repo describes it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]


class SaidSet(_Said):
    """A set as its repo describes it."""

    name: order_file.SetName
    config: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,120}$")]
    data_files: dict[Literal["train", "val", "test"], str]


class Said(_Said):
    """What a repo says of its publication."""

    format: int
    recipe: str
    order: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,79})?$")]
    sets: list[SaidSet]
    files: dict[str, SaidFile]


@dataclass(frozen=True, slots=True)
class Brought:
    """One repo with its checked description; `about` is the whole of its `order.json`."""

    snapshot: Snapshot
    said: Said
    about: Mapping[str, Any]

    def shards(self, one: SaidSet) -> Iterator[tuple[str, Path]]:
        """(name below the set's folder, file) of every shard of a set."""
        below = _folders([one])
        for name in self.said.files:
            path = self.snapshot.file(name)
            if path is not None and name.rpartition("/")[0] in below:
                yield path.name, path


def narrowed(brought: Brought, chosen: Sequence[SaidSet]) -> Brought:
    """The same with some of its sets only."""
    below = _folders(chosen)
    files = {name: said for name, said in brought.said.files.items() if name.rpartition("/")[0] in below}
    said = brought.said.model_copy(update={"sets": list(chosen), "files": files})
    return Brought(brought.snapshot, said, brought.about)


def _folders(chosen: Iterable[SaidSet]) -> set[str]:
    """Where in a repo the shards of sets are."""
    return {pattern.rpartition("/")[0] for one in chosen for pattern in one.data_files.values()}


def is_ours(names: Sequence[str]) -> bool:
    """Whether a repo with these files may be one of ours."""
    return order_file.NAME in names


def read(snapshot: Snapshot) -> Brought:
    """Its description.

    Raises:
        HubError: there is none that this version understands.
    """
    try:
        path = snapshot.file(order_file.NAME)
        about = json_file.read(path) if path else {}
        said = Said.model_validate(about[PUBLISHED])
        sets, tables = about["sets"], about["order"]
        if not isinstance(sets, list) or not all(isinstance(one, dict) for one in (*sets, tables)):
            raise ValueError("its sets are no list")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HubError(f"The order.json of {snapshot.repo_id} is not one of this program ({reason}).") from error
    if wrong := [name for name in said.files if not safe(name) or not _SHARD.fullmatch(name.rpartition("/")[2])]:
        raise HubError(f"{snapshot.repo_id} names a shard {wrong[0][:80]!r}, which is none of a split; not used.")
    if said.format > FORMAT:
        raise HubError(
            f"{snapshot.repo_id} was published by a newer version (format {said.format}); update capcurriculum."
        )
    return Brought(snapshot, said, about)


def check(brought: Brought) -> None:
    """Compare every shard with what is said of it: size, digest, rows, and the schema that verl reads.

    Raises:
        HubError: naming the first that is another.
    """
    wanted = features().arrow_schema
    repo = brought.snapshot.repo_id
    below = _folders(brought.said.sets)
    there = {
        name for name in brought.snapshot.names() if name.rpartition("/")[0] in below and name.endswith(".parquet")
    }
    if odd := sorted(there ^ set(brought.said.files)):
        raise HubError(
            f"{repo} does not hold exactly the shards that its order.json names ({', '.join(odd[:3])}); publish anew."
        )
    for name, said in brought.said.files.items():
        path = brought.snapshot.folder / name
        if path.stat().st_size != said.bytes or sha256(path) != said.sha256:
            raise HubError(f"{name} of {repo} does not have the digest that its order.json says; publish it again.")
        if fault := _fault(path, said.rows, wanted):
            raise HubError(f"{name} of {repo} {fault}; it is not used.")


def _fault(path: Path, rows: int, wanted: pa.Schema) -> str:
    """What is wrong with a shard, "" if nothing; the columns that training reads must be there, others may be."""
    try:
        with pq.ParquetFile(path) as file:
            found, count = file.schema_arrow, file.metadata.num_rows
            embedded = "images" not in found.names or _pictures_embedded(file)
    except (OSError, pa.ArrowException) as error:
        return f"is no sound Parquet file ({' '.join(str(error).split())[:120]})"
    if count != rows:
        return f"has {count} rows and not {rows}"
    if missing := sorted(set(FIELDS) - set(found.names)):
        return f"lacks the columns {', '.join(missing)}"
    if odd := [f.name for f in wanted if f.name in found.names and not found.field(f.name).type.equals(f.type)]:
        return f"has other types than ours in {', '.join(odd)}"
    return "" if embedded else "names pictures by path, which could be any file of this machine"


def _pictures_embedded(file: pq.ParquetFile) -> bool:
    """Whether every picture is there as bytes; one row group is in memory at a time."""
    for number in range(file.num_row_groups):
        pictures = pc.list_flatten(file.read_row_group(number, columns=["images"])["images"])
        kind = pictures.type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            return False
        if pc.struct_field(pictures, "bytes").null_count or pictures.null_count:
            return False
    return True
