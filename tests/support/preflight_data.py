"""Sets with rows of every kind, and one look at them, for tests of the preflight."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from rich.console import Console

from capcurriculum.recipe.training import PreflightSection, TrainingRecipe
from capcurriculum.render.progress import Display
from datagen import micro
from tests.support import training_data
from training import stage_files
from training.preflight.inspection import Inspection, LinkData
from training.preflight.machine import libraries
from training.preflight.rows.settings import Settings, settings_of

QUIET = Display(Console(quiet=True))
_FEATURES = {"info": {"features": {"images": {"feature": {"_type": "Image"}, "_type": "List"}}}}


def picture(width: int, height: int, kind: str = "JPEG", orientation: int = 0, mode: str = "RGB") -> bytes:
    """A picture file of that size, before any turn that its tag asks for."""
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    image.save(file, kind, exif=exif)
    return file.getvalue()


def seeing(number: int, *pictures: bytes, **changes: Any) -> dict[str, Any]:
    """A question about the given pictures."""
    row: dict[str, Any] = training_data.row("perception", number, "train")
    if pictures:
        row["images"] = [{"bytes": one, "path": f"{number}.jpg"} for one in pictures]
        problem = row["prompt"][1]["content"].removeprefix("<image>")
        row["prompt"][1]["content"] = "<image>" * len(pictures) + problem
    return row | changes


def write(
    folder: Path, train: Sequence[dict[str, Any]], val: Sequence[dict[str, Any]] | None = None, *, marked: bool = True
) -> stage_files.StageFiles:
    """Write a perception set; `marked`: as the build writes it, so that `datasets` decodes its pictures."""
    target = folder / "stages" / "perception"
    target.mkdir(parents=True, exist_ok=True)
    schema = training_data.schema()
    if marked:
        schema = schema.with_metadata({"huggingface": json.dumps(_FEATURES)})
    for split, rows in (("train", train), ("val", val or [seeing(90), seeing(92)])):
        table = pa.Table.from_pylist(list(rows), schema=schema)
        pq.write_table(table, target / f"{split}-00000-of-00001.parquet", row_group_size=4)
    return stage_files.set_files("perception", [folder / "stages" / "perception"])


def look(
    root: Path, files: stage_files.StageFiles, limit: int = 512, *, write: bool = True,
    keys: dict[str, Any] | None = None, model: Path | None = None, **section: Any,
) -> tuple[Inspection, stage_files.StageFiles]:  # fmt: skip
    """One look at a set, and the files that the trainer would read."""
    told = {"data.max_prompt_length": limit} | (keys or {})
    data = LinkData(files, told, 16, model or micro.checkpoint("start"), root / "training" / files.stage)
    recipe = TrainingRecipe(preflight=PreflightSection(processes=1, **section))
    with Inspection(recipe, QUIET, write=write) as inspection:
        return inspection, inspection.files(data)


def settings(model: Path, keys: dict[str, Any]) -> Settings:
    """What this environment's libraries make of a checkpoint."""
    here = libraries.of(sys.executable)
    assert here is not None
    return settings_of(model, keys, here)


def rows_of(files: stage_files.StageFiles) -> list[dict[str, Any]]:
    """The training rows as the trainer reads them."""
    return [row for path in files.train for row in pq.read_table(path).to_pylist()]
