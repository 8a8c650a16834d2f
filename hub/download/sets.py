"""The description of a published repo in its `order.json`, and the check of its files against it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import HubError
from capcurriculum.files import json_file
from capcurriculum.validation import reason
from curricula import order_file
from curricula.split import SPLITS
from curricula.stage_rows import features
from hub.download.fetch import Snapshot, safe
from hub.publish.stage import FORMAT, PUBLISHED, sha256
from hub.trouble import scrubbed
from training.preflight.rows.schema import FIELDS

_SHARD = re.compile(rf"({'|'.join(SPLITS)})-[0-9]{{5}}-of-[0-9]{{5}}\.parquet")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ShardEntry(_Entry):
    """One shard."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]


class SetEntry(_Entry):
    """One set; `data_files` maps a split to the pattern of its shards."""

    name: order_file.SetName
    config: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,120}$")]
    data_files: dict[Literal["train", "val", "test"], str]


class Publication(_Entry):
    """The value of `published` in an `order.json`; `files` maps a name in the repo to its shard."""

    format: int
    recipe: str
    order: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,79})?$")]
    sets: list[SetEntry]
    files: dict[str, ShardEntry]


@dataclass(frozen=True, slots=True)
class PublishedRepo:
    """One repo with its description; `about` is its whole `order.json`."""

    snapshot: Snapshot
    published: Publication
    about: Mapping[str, Any]

    def shards(self, one: SetEntry) -> Iterator[tuple[str, Path]]:
        """(name below the set's folder, file) of every shard of a set."""
        below = _folders([one])
        for name in self.published.files:
            path = self.snapshot.file(name)
            if path is not None and name.rpartition("/")[0] in below:
                yield path.name, path


def narrowed(repo: PublishedRepo, chosen: Sequence[SetEntry]) -> PublishedRepo:
    """The repo with the chosen sets only, and of each the splits of its `data_files`."""
    files = {name: entry for name, entry in repo.published.files.items() if _held(name, chosen)}
    return replace(repo, published=repo.published.model_copy(update={"sets": list(chosen), "files": files}))


def chosen(sets: Iterable[SetEntry], stages: Sequence[str], splits: Sequence[str]) -> list[SetEntry]:
    """The sets of these stages with these splits alone (none: all); without those that have none of them."""
    found = []
    for one in sets:
        files = {split: pattern for split, pattern in one.data_files.items() if not splits or split in splits}
        if files and (not stages or one.name in stages):
            found.append(one.model_copy(update={"data_files": files}))
    return found


def _held(name: str, chosen: Iterable[SetEntry]) -> bool:
    """Whether a file is a shard of one of the splits of these sets."""
    folder, _, base = name.rpartition("/")
    shard = _SHARD.fullmatch(base)
    return shard is not None and any(
        split == shard[1] and pattern.rpartition("/")[0] == folder
        for one in chosen
        for split, pattern in one.data_files.items()
    )


def _folders(chosen: Iterable[SetEntry]) -> set[str]:
    """Folders in the repo that hold the shards of sets."""
    return {pattern.rpartition("/")[0] for one in chosen for pattern in one.data_files.values()}


def read(snapshot: Snapshot) -> PublishedRepo:
    """A downloaded repo with its description.

    Raises:
        HubError: its `order.json` is missing, malformed, or of a newer format.
    """
    try:
        path = snapshot.file(order_file.NAME)
        about = json_file.read(path) if path else {}
        published = Publication.model_validate(about[PUBLISHED])
        sets, tables = about["sets"], about["order"]
        if not isinstance(sets, list) or not all(isinstance(one, dict) for one in (*sets, tables)):
            raise ValueError("its sets are no list")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        why = scrubbed(reason(error))
        raise HubError(f"The order.json of {snapshot.repo_id} is not one of this program ({why}).") from error
    if wrong := [name for name in published.files if not safe(name) or not _SHARD.fullmatch(name.rpartition("/")[2])]:
        raise HubError(f"{snapshot.repo_id} names a shard {wrong[0][:80]!r}, which is none of a split; not used.")
    if published.format > FORMAT:
        raise HubError(
            f"{snapshot.repo_id} was published by a newer version (format {published.format}); update capcurriculum."
        )
    return PublishedRepo(snapshot, published, about)


def check(repo: PublishedRepo) -> None:
    """Compare every shard with its entry (size, digest, rows) and with the schema that verl reads.

    Raises:
        HubError: a shard differs, is missing, or is not listed.
    """
    wanted = features().arrow_schema
    repo_id = repo.snapshot.repo_id
    below, splits = _folders(repo.published.sets), {split for one in repo.published.sets for split in one.data_files}
    # The cache may hold more splits, from another download; what is of none is refused.
    there = {
        name
        for name in repo.snapshot.names()
        if name.rpartition("/")[0] in below
        and name.endswith(".parquet")
        and ((shard := _SHARD.fullmatch(name.rpartition("/")[2])) is None or shard[1] in splits)
    }
    if odd := sorted(there ^ set(repo.published.files)):
        raise HubError(
            f"{repo_id} does not hold the shards that its order.json lists ({', '.join(odd[:3])}); publish again."
        )
    for name, entry in repo.published.files.items():
        path = repo.snapshot.folder / name
        if path.stat().st_size != entry.bytes or sha256(path) != entry.sha256:
            raise HubError(f"{name} of {repo_id} does not have the digest that its order.json says; publish it again.")
        if fault := _fault(path, entry.rows, wanted):
            raise HubError(f"{name} of {repo_id} {fault}; it is not used.")


def _fault(path: Path, rows: int, wanted: pa.Schema) -> str:
    """The first fault of a shard, "" for none; the columns that training reads are required, further ones allowed."""
    try:
        with pq.ParquetFile(path) as file:
            found, count = file.schema_arrow, file.metadata.num_rows
            embedded = "images" not in found.names or _images_embedded(file)
    except (OSError, pa.ArrowException) as error:
        return f"is no sound Parquet file ({' '.join(str(error).split())[:120]})"
    if count != rows:
        return f"has {count} rows and not {rows}"
    if missing := sorted(set(FIELDS) - set(found.names)):
        return f"lacks the columns {', '.join(missing)}"
    if odd := [f.name for f in wanted if f.name in found.names and not found.field(f.name).type.equals(f.type)]:
        return f"has other types than expected in {', '.join(odd)}"
    return "" if embedded else "names images by path, which could be any local file"


def _images_embedded(file: pq.ParquetFile) -> bool:
    """Whether every image is stored as bytes; reads one row group at a time."""
    for number in range(file.num_row_groups):
        images = pc.list_flatten(file.read_row_group(number, columns=["images"])["images"])
        if not pa.types.is_struct(images.type) or images.type.get_field_index("bytes") < 0:
            return False
        if pc.struct_field(images, "bytes").null_count or images.null_count:
            return False
    return True
