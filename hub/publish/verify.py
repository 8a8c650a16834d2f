"""Read back what was published: every file by size and digest, and the first rows of every split as users load them.

A listing that is right and a set that does not load would be the worst of both, so `datasets` itself is asked, with
nothing but the repo's name, to stream what it finds there.
"""

from collections.abc import Iterator, Mapping
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

#: Rows of a split that are compared.
ROWS = 3
_SENDING = "run the same command again to send them once more"


def files(hub: Hub, target: Target, folder: Path, oid: str) -> None:
    """Compare the listing of a commit with a staged folder.

    Raises:
        HubError: a file is missing there, or is not the one that was sent.
    """
    found = remote.look(hub, target, oid)
    there = found.files if found else {}
    wrong = [name for name, file in remote.local_files(folder).items() if not file.is_in(there.get(name))]
    if wrong:
        missing = sum(name not in there for name in wrong)
        raise HubError(
            f"{target.repo_id} at {oid[:12]} does not hold what was sent: {', '.join(wrong[:3])} "
            f"({missing} of {len(wrong)} missing, the others different); {_SENDING}."
        )


def rows(hub: Hub, target: Target, one: StagedSet, oid: str) -> None:
    """Stream the first rows of every split of a set and compare features and values.

    Raises:
        HubError: they cannot be loaded, or are others.
    """
    import datasets

    datasets.disable_progress_bars()
    for split, shards in one.files.items():
        wanted = datasets.Features.from_arrow_schema(pq.read_schema(shards[0]))
        doing = f"load {target.repo_id}, {one.config}, {split}, as everybody would"

        def load(split: str = split) -> tuple[Any, list[dict[str, Any]]]:
            stream = datasets.load_dataset(
                target.repo_id, one.config, split=split, revision=oid, streaming=True, token=hub.token
            )
            features = stream.features
            return features, list(islice(undecoded(stream), ROWS))

        features, got = hub.patience.persist(doing, load)
        pa.default_memory_pool().release_unused()  # it read a stretch of the file that is much larger than the rows
        if features != wanted:
            raise HubError(
                f"{target.repo_id}, {split}, loads with other features than were sent; it has "
                f"{_different(features or {}, wanted)}. Remove configurations of its card that shadow ours."
            )
        if got != list(islice(_local(shards), len(got))) or not got:
            raise HubError(
                f"{target.repo_id}, {split}, loads with other rows than were sent; look at the configurations of its "
                f"card, and {_SENDING}."
            )


def undecoded(stream: Any) -> Any:
    """The same rows with pictures as the bytes of their files."""
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


def _different(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    return ", ".join(names[:5]) or "no such columns"
