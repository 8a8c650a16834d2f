"""A signature file: Parquet with the columns `kind` and `hash`, and what it was made from in its metadata.

Kinds are `gram8` and `gram13` (runs of words), `short` (whole questions of fewer than 8 words) and `image` (perceptual
hashes). A hash cannot be turned back into words, though who has a text can tell whether it is in the file.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capcurriculum import __version__
from capcurriculum.errors import SourceError
from capcurriculum.tables import publish
from filters import picture_hashes, text_hashes
from filters.text_hashes import Hashes

FORMAT = 1
GRAMS = (8, 13)
#: Questions of fewer words have no run of the smallest size and are compared whole.
SHORTER_THAN = GRAMS[0]
KINDS = (*(f"gram{size}" for size in GRAMS), "short", "image")
MAX_HASHES = 200_000_000
_METADATA = b"capcurriculum.signature"
_SCHEMA = pa.schema([("kind", pa.string()), ("hash", pa.uint64())])


@dataclass(frozen=True, slots=True)
class About:
    """What a signature was made from; `parameters` are those that must agree with the code that compares."""

    name: str
    source: str
    revision: str
    counts: Mapping[str, int]
    options: Mapping[str, float]
    parameters: Mapping[str, int]
    tool: str = f"capcurriculum {__version__}"


@dataclass(frozen=True, slots=True)
class Signature:
    """A benchmark's hashes by kind, each sorted and without repeats."""

    about: About
    hashes: Mapping[str, Hashes]


def parameters() -> dict[str, int]:
    """What decides which hash a text or an image gets."""
    return {"format": FORMAT, "words": text_hashes.VERSION, "phash": picture_hashes.VERSION}


def save(signature: Signature, path: Path) -> None:
    """Write a signature file, or replace one."""
    kinds = np.concatenate([np.full(len(signature.hashes[kind]), kind) for kind in KINDS])
    values = np.concatenate([signature.hashes[kind] for kind in KINDS])
    about = json.dumps(asdict(signature.about), sort_keys=True).encode()
    table = pa.table({"kind": kinds, "hash": values}, schema=_SCHEMA.with_metadata({_METADATA: about}))
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        publish(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SourceError(
            f"The signature {path} cannot be written ({error.strerror}); choose another place."
        ) from error


def load(path: Path) -> Signature:
    """Read and check a signature file.

    Raises:
        SourceError: it is not there, damaged, no signature, or made by a version whose hashes differ.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _about(path, (file.schema_arrow.metadata or {}).get(_METADATA))
            if not file.schema_arrow.equals(_SCHEMA) or file.metadata.num_rows > MAX_HASHES:
                raise SourceError(f"{path} is no signature file; `capcurriculum signatures build` makes one.")
            table = file.read()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise SourceError(f"There is no signature file {path}; check the recipe's signatures.") from error
        raise SourceError(_damaged(path, error)) from error
    except pa.ArrowException as error:
        raise SourceError(_damaged(path, error)) from error
    found = {kind: np.unique(table.filter(pc.field("kind") == kind)["hash"].to_numpy()) for kind in KINDS}
    if any(len(found[kind]) != about.counts.get(kind) for kind in KINDS):
        raise SourceError(_damaged(path, "it does not hold as many hashes as it says"))
    return Signature(about, found)


def _about(path: Path, metadata: bytes | None) -> About:
    if metadata is None:
        raise SourceError(f"{path} is no signature file; `capcurriculum signatures build` makes one.")
    try:
        values: dict[str, Any] = json.loads(metadata)
        about = About(**values)
        about = replace(about, parameters=dict(about.parameters), counts=dict(about.counts))
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(_damaged(path, error)) from error
    if not all(isinstance(said, str) for said in (about.name, about.source, about.revision, about.tool)):
        raise SourceError(_damaged(path, "its name is no text"))
    if about.parameters != parameters():
        raise SourceError(
            f"The signature {path} was made by {about.tool}, which hashes otherwise "
            f"({about.parameters}, here {parameters()}); "
            "build it again with this version."
        )
    return about


def _damaged(path: Path, reason: object) -> str:
    return f"The signature {path} is damaged ({' '.join(str(reason).split())[:200]}); build it again."
