"""What checksums in shards, stage files and records notice, and what they cost.

`flips_unnoticed` flips single bits in the files of a small built run and lets every reader of that file read it, each
as a process that sees it for the first time: it must say so in a sentence, or give the same as before. `read_cost`
reads a run with and without, by turns in one process: its tables as records, its stage files as rows with their
pictures opened.
"""

import contextlib
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from capcurriculum.errors import CapCurriculumError
from capcurriculum.files import checksums
from capcurriculum.ledger import flat_rates, query, user_query, verify
from capcurriculum.run import Run
from training import stage_files
from training.preflight.rows.pool import slices
from training.preflight.rows.slices import rows as rows_of

FLIPS, RECORD_FLIPS, SEED = 2000, 400, 3
#: A run of 150 rows with pictures of about 150 kB, and as many of text.
ROWS, SIDE = 150, 224
ROUNDS = 9

Reader = Callable[[], object]


def flips_unnoticed() -> float:
    """Flips after which a reader gave other data and did not say so."""
    from tests.cli.bad_inputs import built

    draw, counts = random.Random(SEED), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        with contextlib.redirect_stdout(io.StringIO()):
            run = built.copied(Path(name))
        shards = sorted(run.path.rglob("*.parquet"))
        for number in range(FLIPS):
            path = shards[number % len(shards)]
            _flip(path, _readers(run, path), draw, counts)
        records = [*run.path.rglob("*.json"), run.path / "recipe.yaml"]
        for number in range(RECORD_FLIPS):
            path = records[number % len(records)]
            _flip(path, [lambda: verify.verify(run)[1]], draw, counts)
    print(f"flips in {len(shards)} shards and {len(records)} records; readers: {dict(counts)}")
    return float(counts["other data"])


def _readers(run: Run, path: Path) -> list[Reader]:
    """All that read a shard, each for itself."""
    if path.parent.name == "stages":
        return [lambda: verify.verify(run)[1]]  # no verb reads the listing of an order
    if path.parent.parent.name == "stages":
        stage = path.parent.name
        return [
            lambda: user_query.answer(run, "from stages"),
            lambda: query.query(run, "select * exclude images from stages"),
            lambda: flat_rates.in_files([path]),
            lambda: stage_files.set_files(stage, [run.path / "stages" / stage]).digest,
        ]
    (table,) = [one for one in run.tables if one.folder == path.parent]
    name = table.folder.name
    return [
        lambda: table.frame().rows(),
        lambda: list(table.rows()),
        table.count,
        lambda: query.query(run, f"from {name}"),
        lambda: user_query.answer(run, f"from {name}"),
    ]


def _flip(path: Path, readers: list[Reader], draw: random.Random, counts: Counter[str]) -> None:
    data = path.read_bytes()
    wanted = [_given(reader) for reader in readers]
    bit = draw.randrange(8 * len(data))
    path.write_bytes(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])
    for number, (reader, before) in enumerate(zip(readers, wanted, strict=True)):
        try:
            same = _given(reader) == before
        except CapCurriculumError:
            counts["a sentence"] += 1
            continue
        counts["the same data" if same else "other data"] += 1
        if not same:
            print(f"other data from reader {number} of {path.parent.name}/{path.name} after a flip of bit {bit}")
    path.write_bytes(data)


def _given(reader: Reader) -> object:
    """What a reader gives to a process that has read nothing yet; what `verify` says counts as said."""
    checksums._seen.clear()
    found = reader()
    if isinstance(found, list) and found and isinstance(found[0], str):
        raise CapCurriculumError(found[0])
    return found


def read_cost() -> float:
    """Time of reading with checksums over that of reading without: the least of some rounds each, by turns."""
    from tests.support import hub_runs

    with tempfile.TemporaryDirectory() as name:
        with contextlib.redirect_stdout(io.StringIO()):
            run = hub_runs.build(Path(name), rows=ROWS, side=SIDE, stages=("text", "visual"))
        files = query.stage_paths(run)
        parts: dict[str, Reader] = {
            "tables as records": lambda: [list(table.rows()) for table in run.tables],
            "tables as columns": lambda: [table.frame() for table in run.tables],
            "rows of stage files": lambda: [None for _ in _stage_rows(files)],
            "rows with pictures opened": lambda: [_opened(row) for row in _stage_rows(files)],
        }
        costs = {what: _cost(read) for what, read in parts.items()}
        size = sum(path.stat().st_size for path in files) / 1e6
    for what, (bare, checked) in costs.items():
        print(f"{what}: {bare * 1e3:.1f} ms, with checksums {checked * 1e3:.1f} ms ({size:.0f} MB of stage files)")
    whole = [costs["tables as records"], costs["rows with pictures opened"]]
    return sum(checked for _, checked in whole) / sum(bare for bare, _ in whole)


def _cost(read: Reader) -> tuple[float, float]:
    """Seconds of CPU without and with checksums."""
    bare, checked = [], []
    for _ in range(ROUNDS):
        with mock.patch.object(checksums, "check"):
            bare.append(_seconds(read))
        checksums._seen.clear()
        checked.append(_seconds(read))
    return min(bare), min(checked)


def _seconds(read: Reader) -> float:
    begun = time.process_time()
    read()
    return time.process_time() - begun


def _stage_rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    checksums.check(files)
    for part in slices(files, [False] * len(files)):
        yield from (row for _, row in rows_of(part))


def _opened(row: dict[str, Any]) -> int:
    pictures = [Image.open(io.BytesIO(one["bytes"])) for one in row["images"] or []]
    return sum(len(one.convert("RGB").tobytes()) for one in pictures)
