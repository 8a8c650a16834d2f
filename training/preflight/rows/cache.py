"""Cache of row checks by content, so that a second check of the same rows takes seconds.

One folder per digest of settings holds small Parquet shards, each written atomically. It is in the user's cache and not
in the run, so a dry run may fill it, and other runs and orders of the same rows share it.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.tables import write_atomically
from training.preflight.rows.row import RowResult

_FAULTS = pa.list_(pa.struct([("check", pa.string()), ("detail", pa.string())]))
_SCHEMA = pa.schema([("key", pa.binary(16)), ("tokens", pa.int32()), ("image_tokens", pa.int32()), ("faults", _FAULTS)])
_MANY = 50  # shards
_AGREED = "arithmetic-agrees"


def root() -> Path:
    """`$CAPCURRICULUM_CACHE`, else `capcurriculum` in the user's cache folder."""
    named = os.environ.get("CAPCURRICULUM_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(base) / "capcurriculum"


def row_key(row: Mapping[str, Any], *, upright: bool) -> bytes:
    """16 bytes of the sha256 over everything in a row that its check reads."""
    images = [image["bytes"] if image else None for image in row["images"] or []]
    content = {
        "prompt": row["prompt"],
        "images": [one and hashlib.sha256(one).hexdigest() for one in images],
        "gold": row["reward_model"],
        "options": (row["extra_info"] or {}).get("options"),
        "kind": (row["extra_info"] or {}).get("kind"),
        "upright": upright,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(canonical).digest()[:16]


class RowCache:
    """The results under one digest of settings."""

    def __init__(self, digest: str, folder: Path | None = None) -> None:
        self.folder = (folder or root()) / "preflight" / digest

    def load(self) -> dict[bytes, RowResult]:
        """All results; unreadable shards are removed, since their rows can be checked again."""
        known: dict[bytes, RowResult] = {}
        for shard in sorted(self.folder.glob("rows-*.parquet")):
            try:
                checksums.check([shard])
                table = pq.read_table(shard, schema=_SCHEMA)
            except (OSError, pa.ArrowException, RunError):
                with suppress(OSError):
                    shard.unlink()
                continue
            for key, tokens, images, faults in zip(*(column.to_pylist() for column in table.columns), strict=True):
                known[key] = RowResult(tuple((one["check"], one["detail"]) for one in faults), tokens, images)
        return known

    def add(self, results: Iterable[tuple[bytes, RowResult]]) -> None:
        """Write a shard.

        Raises:
            OSError: the folder cannot be written.
        """
        rows = [
            {
                "key": key,
                "tokens": one.tokens,
                "image_tokens": one.image_tokens,
                "faults": [{"check": check, "detail": detail} for check, detail in one.faults],
            }
            for key, one in results
        ]
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="zstd")
        checksums.seal(sink)
        write_atomically(self.folder / f"rows-{uuid4().hex}.parquet", sink.getvalue())

    def compact(self) -> None:
        """Merge many shards into one, which loads faster; raises `OSError` as `add`."""
        shards = list(self.folder.glob("rows-*.parquet"))
        if len(shards) > _MANY:
            self.add(self.load().items())
            for shard in shards:
                shard.unlink(missing_ok=True)

    @property
    def agreed(self) -> bool:
        """Whether arithmetic and pixels have been compared under these settings, and agreed."""
        return (self.folder / _AGREED).is_file()

    def note_agreement(self) -> None:
        """Record that they agreed; raises `OSError` as `add`."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / _AGREED).touch()
