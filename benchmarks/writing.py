"""Writing stage files with large pictures: 20,000 rows of one megabyte each, through the writer that builds use.

The pictures are real JPEG files, a few distinct ones; bytes behind the end of the image, which decoders ignore and no
codec can shrink, bring each to one megabyte of its own. The disk's own rate is measured in the same folder by plain
writes of as many bytes with one fsync at the end.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import curricula_data
from benchmarks.processes import answer_of, peak_mb
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.run import Run
from curricula import make, order_file, store
from curricula.keys import keys
from curricula.order import arrange
from curricula.stage_rows import StageRows

ROWS = 20_000
PICTURES = 200
PICTURE_BYTES = 1_000_000
DISTINCT = 8


def pictures(folder: Path) -> None:
    """`PICTURES` files of `PICTURE_BYTES`; the rows share them, since reading a file is what costs, not its name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        buffer = BytesIO()
        noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        if number < DISTINCT:
            Image.fromarray(noise).save(buffer, "JPEG", quality=90)
            (folder / f"base-{number}").write_bytes(buffer.getvalue())
        base = (folder / f"base-{number % DISTINCT}").read_bytes()
        (folder / f"{number:06d}.jpg").write_bytes(base + random.Random(number).randbytes(PICTURE_BYTES - len(base)))


def write(folder: Path) -> dict[str, float]:
    """Megabytes a second, peak memory, and what was written."""
    run, recipe = Run(folder / "run"), curricula_data.some_recipe(folder / "run")
    found = keys(run, recipe)
    order = OrderSection(order="merged")
    begun = time.perf_counter()
    made = arrange(order, found, recipe.seed)
    about = order_file.describe(order, made, found, recipe)
    with store.opened(run, found, run.path / "curricula" / ".tmp-rows") as rows:
        content = StageRows(rows, found, dict.fromkeys(curricula_data.STAGES, folder), recipe.rollouts.k)
        make.write_order(run, make.folder_of(run, order), made, found, about, content)
    seconds = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in make.folder_of(run, order).rglob("*.parquet")) / 1e6
    peak = peak_mb()
    return {"mb": size, "seconds": seconds, "mb_s": size / seconds, "peak_mb": peak}


def read_back(folder: Path) -> int:
    """How many rows `datasets` finds, streaming and not; both decode pictures on the way.

    Raises:
        AssertionError: the two differ.
    """
    import datasets

    datasets.disable_progress_bars()
    where = str(folder / "run" / "curricula" / "merged" / "merged")
    streamed = datasets.load_dataset(where, split="test", streaming=True)
    whole = datasets.load_dataset(where, split="test", cache_dir=str(folder / "cache"))
    ids = [row["question_id"] for row in streamed if all(image.size == (256, 256) for image in row["images"])]
    assert ids == whole["question_id"][:]
    assert all(image.size == (256, 256) for row in whole.select(range(100)) for image in row["images"])
    return len(ids)


def disk_mb_s(folder: Path, megabytes: int) -> float:
    """The disk's own rate."""
    block, begun = os.urandom(1_000_000), time.perf_counter()
    with (folder / "plain").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    (folder / "plain").unlink()
    return megabytes / seconds


@cache
def _measured() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="writing-") as name:
        folder = Path(name)
        curricula_data.write(folder / "run", ROWS, images=PICTURES)
        pictures(folder / "images")
        disk = disk_mb_s(folder, 5_000)
        found: dict[str, float] = answer_of("benchmarks.writing", str(folder))
        shutil.rmtree(folder / "images")
        found |= {"disk_mb_s": disk, "read_back": read_back(folder)}
    print(f"writing {ROWS:,} rows with pictures: {found}", file=sys.stderr)
    return found


def mb_per_second() -> float:
    """Megabytes of stage files a second."""
    return _measured()["mb_s"]


def rss_mb() -> float:
    """Peak memory of the process that writes."""
    return _measured()["peak_mb"]


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]))))
