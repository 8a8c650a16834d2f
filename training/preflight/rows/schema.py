"""The columns of a set's files, and how `datasets` decodes their images."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.preflight.findings import Findings

#: Column -> fields of its struct or list of structs; none for a column of text.
FIELDS = {
    "data_source": (),
    "prompt": ("role", "content"),
    "images": ("bytes",),
    "reward_model": ("ground_truth",),
    "extra_info": (),
}


def check(paths: Sequence[Path], stage: str, findings: Findings) -> bool:
    """Note faults of the files' columns; returns whether their rows can be read."""
    schemas = [pq.read_schema(path) for path in paths]
    readable = True
    for path, schema in zip(paths, schemas, strict=True):
        for name, fields in FIELDS.items():
            if fault := _fault(schema, name, fields):
                readable = False
                text = f"the column {name} {fault}; build the run again with this version"
                findings.error("schema", text, stage, str(path))
    for path, schema in zip(paths[1:], schemas[1:], strict=True):
        if not schema.equals(schemas[0]):
            text = f"files differ in their columns from {paths[0].name}, and verl cannot join them; build the run again"
            findings.error("schema", text, stage, str(path))
    return readable


def upright(path: Path) -> bool:
    """Whether `datasets` decodes the images itself, and so rotates them by their orientation tag."""
    metadata = pq.read_schema(path).metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]["images"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return '"Image"' in json.dumps(features)


def _fault(schema: pa.Schema, name: str, fields: tuple[str, ...]) -> str:
    if name not in schema.names:
        return "is missing"
    kind = schema.field(name).type
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    if not fields:
        return ""
    have = {inner.field(number).name for number in range(inner.num_fields)} if pa.types.is_struct(inner) else set()
    lacking = [field for field in fields if field not in have]
    return f"has no {' and no '.join(lacking)}" if lacking else ""
