"""Every order of a run of a million rows against a straightforward script, and of ten million rows in bounded memory.

Timed, in a process each: from the run's tables (questions, and 16 answers to each in another table) to every order
`listed` on disk, that is pass counts, split, the orders, and each order's row ids, labels, counts and digests
(`rows.parquet`, `order.json`); and the same until every order is `filed`, with all human columns but pictures, so with
texts and predictions. The script (`benchmarks.ordering_script`) starts from the same rows as JSON lines and writes JSON
lines of the same columns; its `listed` and `filed` leave out the seconds it spends on the other.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import curricula_data
from benchmarks.processes import answer_of, peak_mb
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.run import Run
from curricula import make, order_file, store
from curricula.keys import Indices, Keys, keys
from curricula.order import arrange
from curricula.stage_rows import CHUNK, features, human
from curricula.store import Store

MILLION = 1_000_000
_ORDERS: tuple[dict[str, Any], ...] = (
    {"order": "capability_x_difficulty"},
    {"order": "capability_x_difficulty", "reverse": True},
    {"order": "capability_x_difficulty", "stages": ["text", "perception", "visual"]},
    {"order": "capability_x_difficulty", "stages": ["visual", "text", "perception"]},
    {"order": "capability_x_difficulty", "stages": ["perception", "visual"]},
    {"order": "capability_x_difficulty", "stages": ["visual"]},
    {"order": "merged"},
    {"order": "difficulty"},
    {"order": "difficulty", "reverse": True},
    {"order": "capability"},
    {"order": "interleaved"},
    {"order": "capability_x_difficulty", "replay": 0.1},
    {"order": "merged", "balance": {"by": "skill", "batch": 512}},
)


@dataclass(frozen=True, slots=True)
class HumanRows:
    """Stage rows without pictures and trainer columns; nothing in them limits a row group to 100 rows."""

    store: Store
    keys: Keys

    @property
    def schema(self) -> pa.Schema:
        whole = features().arrow_schema
        names = [name for name in whole.names if name not in ("images", "image_file_sha256")]
        return pa.schema([whole.field(name) for name in names[: names.index("data_source")]])

    def groups(self, rows: Indices, split: str) -> Iterator[pa.Table]:
        schema = self.schema
        for start in range(0, len(rows), CHUNK):
            places = rows[start : start + CHUNK]
            columns = human(self.store.take(places), self.keys, places, start, split, curricula_data.K)
            yield pa.Table.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def listed(folder: Path) -> dict[str, float]:
    """Seconds and peak memory from the tables to every order with its listing."""
    begun = time.perf_counter()
    run, recipe = Run(folder), curricula_data.some_recipe(folder)
    found = keys(run, recipe)
    counted = time.perf_counter() - begun
    for values in _ORDERS:
        order = OrderSection.model_validate(values)
        made = arrange(order, found, recipe.seed)
        out = folder / "listed" / order.folder
        out.mkdir(parents=True)
        about = order_file.describe(order, made, found, recipe)
        (out / order_file.NAME).write_text(json.dumps(about))
        order_file.listing(made, found).write_parquet(out / order_file.LISTING)
    return _spent(begun) | {"counted": counted}


def filed(folder: Path) -> dict[str, float]:
    """Seconds and peak memory from the tables to every order with all human columns but pictures."""
    begun = time.perf_counter()
    run, recipe = Run(folder), curricula_data.some_recipe(folder)
    found = keys(run, recipe)
    with store.opened(run, found, folder / "curricula" / ".tmp-rows") as rows:
        stored = time.perf_counter() - begun
        for values in _ORDERS:
            order = OrderSection.model_validate(values)
            made = arrange(order, found, recipe.seed)
            about = order_file.describe(order, made, found, recipe)
            make.write_order(run, make.folder_of(run, order), made, found, about, HumanRows(rows, found))
    return _spent(begun) | {"stored": stored}


def _spent(begun: float) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = {"seconds": time.perf_counter() - begun, "cpu_seconds": used.ru_utime + used.ru_stime}
    return spent | {"peak_mb": peak_mb()}


@cache
def _million() -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="ordering-") as name:
        run, lines = Path(name) / "run", Path(name) / "lines"
        lines.mkdir()
        curricula_data.write(run, MILLION, lines)
        found = {what: answer_of("benchmarks.ordering", what, str(run)) for what in ("listed", "filed")}
        found["script"] = answer_of("benchmarks.ordering_script", str(lines))
    print(f"ordering 1,000,000 rows: {found}", file=sys.stderr)
    return found


def speedup() -> float:
    """Seconds of the script over ours, until every order is listed."""
    found = _million()
    return found["script"]["listed"] / found["listed"]["seconds"]


def files_speedup() -> float:
    """The same with every order's texts and predictions in files."""
    found = _million()
    return found["script"]["filed"] / found["filed"]["seconds"]


def memory_ratio() -> float:
    """Our peak memory, listing or writing files, over the script's."""
    found = _million()
    ours: float = max(found[what]["peak_mb"] for what in ("listed", "filed"))
    return ours / found["script"]["peak_mb"]


def ten_million_rss_gb() -> float:
    """Peak memory of listing every order of ten million rows; prints how the time grew beside n log n."""
    with tempfile.TemporaryDirectory(prefix="ordering-") as name:
        run = Path(name) / "run"
        curricula_data.write(run, 10 * MILLION)
        made: dict[str, float] = answer_of("benchmarks.ordering", "listed", str(run))
    grown, bound = made["seconds"] / _million()["listed"]["seconds"], 10 * math.log(1e7) / math.log(1e6)
    print(f"ordering 10,000,000 rows: {made}; time x {grown:.1f}, n log n x {bound:.1f}", file=sys.stderr)
    return made["peak_mb"] / 1000


if __name__ == "__main__":
    print(json.dumps({"listed": listed, "filed": filed}[sys.argv[1]](Path(sys.argv[2]))))
