"""Signature files: Parquet with the columns `kind`, `hash` and `question`, and a description in the metadata.

Kinds are `gram5`, `gram8` and `gram13` (runs of words, with the number of their question), `whole` (questions) and
`image` (perceptual hashes). A file contains no text, but five known or guessed consecutive words can be tested
against it.
"""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capcurriculum import __version__
from capcurriculum.errors import SourceError
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.tables import publish
from filters.corpus import image_hashes, latex_words, text_hashes
from filters.corpus.text_hashes import Hashes

FORMAT = 2
GRAMS = (5, 8, 13)
RUNS = tuple(f"gram{size}" for size in GRAMS)
KINDS = (*RUNS, "whole", "image")
MAX_HASHES = 200_000_000
_METADATA = b"capcurriculum.signature"
_SCHEMA = pa.schema([("kind", pa.string()), ("hash", pa.uint64()), ("question", pa.uint32())])
#: Differences of sorted hashes take two thirds of the space.
_ENCODING = {"hash": "DELTA_BINARY_PACKED", "question": "DELTA_BINARY_PACKED"}

Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class About:
    """The description of a signature; `parameters` must equal those of the comparing version."""

    name: str
    source: str
    revision: str
    counts: Mapping[str, int]
    options: Mapping[str, float]
    parameters: Mapping[str, int]
    tool: str = f"capcurriculum {__version__}"


@dataclass(frozen=True, slots=True)
class Signature:
    """A benchmark's sorted hashes by kind, and for each hash of a run its question; shared runs repeat."""

    about: About
    hashes: Mapping[str, Hashes]
    questions: Mapping[str, Numbers]


def parameters() -> dict[str, int]:
    """The versions that determine the hash of a text or an image."""
    words = {"words": text_hashes.VERSION, "latex": latex_words.VERSION}
    return {"format": FORMAT, "phash": image_hashes.VERSION} | words


def save(signature: Signature, path: Path) -> None:
    """Write or replace a signature file.

    Raises:
        SourceError: it cannot be written.
    """
    kinds = np.concatenate([np.full(len(signature.hashes[kind]), kind) for kind in KINDS])
    values = np.concatenate([signature.hashes[kind] for kind in KINDS])
    others = sum(len(signature.hashes[kind]) for kind in KINDS if kind not in RUNS)
    questions = np.concatenate([*(signature.questions[kind] for kind in RUNS), np.zeros(others, np.uint32)])
    about = json.dumps(asdict(signature.about), sort_keys=True).encode()
    columns = {"kind": kinds, "hash": values, "question": questions}
    table = pa.table(columns, schema=_SCHEMA.with_metadata({_METADATA: about}))
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with removed_if_it_fails(temporary):
            pq.write_table(
                table, temporary, compression="zstd", write_page_checksum=True, use_dictionary=["kind"],
                column_encoding=_ENCODING,
            )  # fmt: skip
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            publish(temporary, path)
    except OSError as error:
        raise SourceError(
            f"The signature {path} cannot be written ({error.strerror}); choose another place."
        ) from error


def load(path: Path) -> Signature:
    """Read and check a signature file.

    Raises:
        SourceError: it is missing, damaged, no signature, or of a version with other hashes.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _about(path, (file.schema_arrow.metadata or {}).get(_METADATA))
            if not file.schema_arrow.equals(_SCHEMA) or file.metadata.num_rows > MAX_HASHES:
                raise SourceError(f"{path} is no signature file; `capcurriculum signatures build` makes one.")
            table = file.read()
    except FileNotFoundError as error:
        raise SourceError(f"There is no signature file {path}; check the recipe's signatures.") from error
    except (OSError, pa.ArrowException) as error:
        raise SourceError(_damaged(path, error)) from error
    if any(column.null_count for column in table.columns):
        raise SourceError(_damaged(path, "it has empty cells"))
    parts = {kind: table.filter(pc.field("kind") == kind) for kind in KINDS}
    hashes = {kind: part["hash"].to_numpy() for kind, part in parts.items()}
    signature = Signature(about, hashes, {kind: parts[kind]["question"].to_numpy() for kind in RUNS})
    if fault := _fault(signature):
        raise SourceError(_damaged(path, fault))
    return signature


def _fault(signature: Signature) -> str:
    counts = signature.about.counts
    if any(len(values) != counts.get(kind) for kind, values in signature.hashes.items()):
        return "it does not hold as many hashes as it says"
    if any((values[1:] < values[:-1]).any() for values in signature.hashes.values()):
        return "its hashes are not in order"
    numbers = counts.get("distinct_questions")
    highest = max((int(values.max()) for values in signature.questions.values() if len(values)), default=-1)
    if highest >= (min(numbers, MAX_HASHES) if isinstance(numbers, int) else 0):
        return "it has runs of questions that it does not have"
    return ""


def _about(path: Path, metadata: bytes | None) -> About:
    if metadata is None:
        raise SourceError(f"{path} is no signature file; `capcurriculum signatures build` makes one.")
    try:
        values: dict[str, Any] = json.loads(metadata)
        about = About(**values)
        about = replace(about, parameters=dict(about.parameters), counts=dict(about.counts))
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(_damaged(path, error)) from error
    if not all(isinstance(text, str) for text in (about.name, about.source, about.revision, about.tool)):
        raise SourceError(_damaged(path, "its name is no text"))
    if about.parameters != parameters():
        raise SourceError(
            f"The signature {path} was made by {about.tool}, which hashes differently; build it again with this one, "
            f"from the benchmark's data: `capcurriculum signatures build DATA --name {shlex.quote(about.name)} "
            f"--out {shlex.quote(str(path))}`."
        )
    return about


def _damaged(path: Path, reason: object) -> str:
    return f"The signature {path} is damaged ({' '.join(str(reason).split())[:200]}); build it again."
