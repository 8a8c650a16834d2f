"""Verify a publication: every file by size and digest, and the first rows of every split through `datasets`.

`load_dataset` gets the repo id and the configuration alone, as a user calls it, and streams.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import HubError
from cards.staged import StagedSet
from hub.client import Hub
from hub.publish import remote
from hub.publish.remote import Target

#: Rows of each split that are compared.
ROWS = 3
_SENDING = "run the same command again to send them once more"


def files(hub: Hub, target: Target, folder: Path, oid: str) -> None:
    """Compare the listing of the commit `oid` with a staged folder.

    Raises:
        HubError: a file is missing or differs.
    """
    found = remote.look(hub, target, oid)
    there = found.files if found else {}
    if wrong := [name for name, file in remote.local_files(folder).items() if not file.is_in(there.get(name))]:
        missing = sum(name not in there for name in wrong)
        raise HubError(
            f"{target.repo_id} at {oid[:12]} does not hold what was sent: {', '.join(wrong[:3])} "
            f"({missing} of {len(wrong)} missing, the others different); {_SENDING}."
        )


def rows(hub: Hub, target: Target, one: StagedSet, oid: str) -> None:
    """Stream the first rows of every split of a set and compare their features and values with the staged shards.

    Raises:
        HubError: they do not load, or differ.
    """
    import datasets

    datasets.disable_progress_bars()
    for split, shards in one.files.items():
        wanted = datasets.Features.from_arrow_schema(pq.read_schema(shards[0]))
        doing = f"load {target.repo_id}, {one.config}, {split} with load_dataset"

        def load(split: str = split) -> tuple[Any, list[dict[str, Any]]]:
            stream = datasets.load_dataset(
                target.repo_id, one.config, split=split, revision=oid, streaming=True, token=hub.token
            )
            return stream.features or {}, list(islice(_undecoded(stream), ROWS))

        features, got = hub.patience.persist(doing, load)
        pa.default_memory_pool().release_unused()  # it read far more of the file than these rows
        if features != wanted:
            names = sorted(name for name in {*features, *wanted} if features.get(name) != wanted.get(name))
            raise HubError(
                f"{target.repo_id}, {split}, loads with other features than were sent "
                f"({', '.join(names[:5]) or 'no such columns'}); remove configurations of its card that shadow these."
            )
        if got != list(islice(_local(shards), len(got))) or not got:
            raise HubError(
                f"{target.repo_id}, {split}, loads with other rows than were sent; look at the configurations of its "
                f"card, and {_SENDING}."
            )


def _undecoded(stream: Any) -> Any:
    """The stream with images as encoded bytes."""
    from datasets import Image, List

    for name, feature in stream.features.items():
        if isinstance(feature, List) and isinstance(feature.feature, Image):
            stream = stream.cast_column(name, List(Image(decode=False)))
    return stream


def _local(shards: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                yield from batch.to_pylist()
