"""Rows a second that one core looks at before a training: pictures like DOCCI's, a processor like Qwen3-VL-8B's.

The pictures are JPEG files of 1.1 megapixels and about 330 kB, as DOCCI's downsampled ones are on average; the
processor is Qwen3-VL's with the 8B model's limits and the micro model's small tokenizer. What counts is processor time
of all processes, and the difference between a large and a small set, so loading torch once is not charged to the rows.
"""

import json
import resource
import shutil
import sys
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rich.console import Console

from benchmarks.processes import answer_of
from capcurriculum import prompts
from capcurriculum.recipe.training import PreflightSection, TrainingRecipe
from capcurriculum.render.progress import Display
from datagen import micro
from training.preflight.inspection import Inspection, LinkData
from training.stage_files import StageFiles, set_files

LARGE, SMALL, DISTINCT = 2000, 200, 25
SIZE = (1216, 912)
LIMITS = {"shortest_edge": 65_536, "longest_edge": 16_777_216}
KEYS = {"data.max_prompt_length": 2048, "data.min_pixels": 262_144, "data.max_pixels": 4_194_304}
_OPTIONS = ["a red car", "a blue car", "two dogs", "a cat"]
_IMAGES = {"info": {"features": {"images": {"feature": {"_type": "Image"}, "_type": "List"}}}}


def rows_per_second() -> float:
    """Rows not seen before, by one core."""
    return _measured()["new"]


def again_rows_per_second() -> float:
    """Rows whose results are remembered, by one core."""
    return _measured()["again"]


@cache
def _measured() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _model(folder / "model")
        for rows in (LARGE, SMALL):
            _write(folder / str(rows), rows)
        spent = {turn: {rows: _spent(folder, rows, model) for rows in (LARGE, SMALL)} for turn in ("new", "again")}
        for _ in range(3):  # a second look takes little more than its processes' start, which varies
            for rows in (LARGE, SMALL):
                spent["again"][rows] = min(spent["again"][rows], _spent(folder, rows, model))
        return {turn: (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL]) for turn, seconds in spent.items()}


def _spent(folder: Path, rows: int, model: Path) -> float:
    return float(answer_of("benchmarks.preflight", str(folder / str(rows)), str(model), str(folder / "cache")))


def _model(folder: Path) -> Path:
    shutil.copytree(micro.checkpoint("start"), folder)
    config = json.loads((folder / "processor_config.json").read_text())
    config["image_processor"]["size"] = LIMITS
    (folder / "processor_config.json").write_text(json.dumps(config))
    return folder


def _write(folder: Path, rows: int) -> None:
    """A set of `rows` questions over `DISTINCT` pictures; every row is decoded, whatever others share its picture."""
    pictures = [_picture(number) for number in range(DISTINCT)]
    target = folder / "stages" / "perception"
    target.mkdir(parents=True)
    for split, count in (("train", rows), ("val", 4)):
        schema = _rows("", 0, 1, pictures).schema.with_metadata({"huggingface": json.dumps(_IMAGES)})
        with pq.ParquetWriter(target / f"{split}-00000.parquet", schema) as writer:
            for start in range(0, count, 100):
                writer.write_table(_rows(folder.name + split, start, min(start + 100, count), pictures).cast(schema))


def _rows(name: str, start: int, stop: int, pictures: list[bytes]) -> pa.Table:
    listed = "\n".join(f"{letter}: {text}" for letter, text in zip("ABCD", _OPTIONS, strict=True))
    rows: list[dict[str, Any]] = []
    for number in range(start, stop):
        problem = f"<image>What is beside the {number}th tree of {name}, counted from the left?\nOptions:\n{listed}\n"
        turns = [{"role": "system", "content": prompts.system()}, {"role": "user", "content": problem}]
        picture = {"bytes": pictures[number % DISTINCT], "path": f"{number}.jpg"}
        rows.append(
            {
                "data_source": "capcurriculum/perception",
                "prompt": turns,
                "images": [picture],
                "reward_model": {"style": "rule", "ground_truth": "ABCD"[number % 4]},
                "extra_info": {"question_id": f"{name}-{number}", "options": _OPTIONS},
            }
        )
    return pa.Table.from_pylist(rows)


def _picture(seed: int) -> bytes:
    """Soft shapes under noise of every grain, which costs a decoder what a photograph of the size does."""
    draw = np.random.default_rng(seed)
    total = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for grain, weight in ((6, 90), (40, 40), (200, 20), (608, 14)):
        small = Image.fromarray(draw.integers(0, 256, (grain, grain, 3), dtype=np.uint8))
        total += (np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC), np.float32) - 128) * weight / 128
    file = BytesIO()
    Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=91)
    return file.getvalue()


def look(files: StageFiles, model: Path, cache_folder: Path) -> float:
    """Seconds of processor that one look takes."""
    data = LinkData(files, KEYS, 16, model, cache_folder / "link")
    display, settings = Display(Console(quiet=True)), TrainingRecipe(preflight=PreflightSection(processes=2))
    with Inspection(settings, display, write=False, cache=cache_folder) as inspection:
        inspection.files(data)
    if inspection.findings.errors():
        raise RuntimeError(inspection.findings.errors()[0].sentence())
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    set_folder, model_folder, where = map(Path, sys.argv[1:])
    print(json.dumps(look(set_files("perception", [set_folder / "stages" / "perception"]), model_folder, where)))
