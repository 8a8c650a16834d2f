"""Small sources in the layouts that upstream documents: same file names, columns, nesting and archives."""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from datagen.sources import counting, registry
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from datagen.sources.source import UNSELECTED

Row = CaptionedImage | Question | Verdict
GPT_SOLUTION = "Since AB = AC, angle B is 40 degrees.\nTherefore the angle is 40 degrees.\nAnswer:D"
PREAMBLE = (
    "<image>\nFirst perform reasoning, then finally select the question from the choices in the following format: "
    "Answer: xxx.\nQuestion:"
)
CHOICES = "Choices:\nA: 80°\nB: 60°\nC: 50°\nD: 40°"


def picture(colour: int = 0, side: int = 40, kind: str = "PNG") -> bytes:
    """An image file of one colour with a white corner, different for every colour."""
    handle = io.BytesIO()
    image = Image.new("RGB", (side, side), (colour % 256, colour * 7 % 256, colour * 31 % 256))
    image.paste("white", (0, 0, side // 2, side // 2))
    image.save(handle, kind)
    return handle.getvalue()


def section(kind: str, path: Path | str = "", **keys: Any) -> SourceSection:
    return SourceSection.model_validate({"kind": kind} | ({"path": str(path)} if path else {}) | keys)


def read(
    section: SourceSection, run: Path, stage: Stage = Stage.VISUAL, known: frozenset[str] = frozenset()
) -> list[Row]:
    """What a source gives, its images kept in `run` or linked as `link/`.

    What a dry run counts in its files is held against it, whatever the layout.
    """
    place = Place(registry.folder(section), section.name or "s", Store(run), "link/")
    counted = counting.rows(section, stage) if section.path else None
    rows = list(registry.rows(section, place, stage, stage, known))
    if counted is not None and not known:
        assert counted == sum(not (isinstance(row, Verdict) and row.reason in UNSELECTED) for row in rows)
    return rows


def questions(rows: list[Row]) -> list[Question]:
    return [row for row in rows if isinstance(row, Question)]


def reasons(rows: list[Row]) -> list[str]:
    return [row.reason for row in rows if isinstance(row, Verdict)]


def write_form(form: str, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as a data set of that form in a folder."""
    match form:
        case "jsonl":
            write_lines(folder / "rows.jsonl", rows)
        case "csv":
            write_csv(folder / "rows.csv", rows)
        case "json":
            write_json(folder / "rows.json", rows)
        case "parquet":
            parquet(folder / "rows.parquet", rows)
        case "arrow":
            import datasets

            datasets.Dataset.from_list(rows).save_to_disk(str(folder))


def tar(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as bundle:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


def write_json(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def orz(path: Path, *pairs: tuple[str, str]) -> Path:
    conversations = [
        [{"from": "human", "value": problem}, {"from": "assistant", "ground_truth": {"value": answer}}]
        for problem, answer in pairs
    ]
    return write_json(path, conversations)


def vlaa(folder: Path) -> Path:
    """One row and one archive a part, as the card's examples show them, and two rows that are not taken by default."""
    more = {"ds_answer": "<think>\n</think>", "caption": "", "meta": {"rationale": ""}}
    choose = "What rises? Choose from the following options\nA) The ratio.\nB) The rate.\nC) Neither."
    rows = [
        ("clevr_math/CLEVR_train_027977.png", "Subtract all balls. How many objects are left?", 3),
        ("geoqa170k/geoqa_plus-2905.png", f"Find the angle.\n{CHOICES}", "D"),
        ("synthesis/gen_func_1.png", "What is the function's equation?", "Step 1: x.\n\n†Answer: y = -5 * x."),
        ("arxivqa/1907.10497_1.jpg", choose, "B"),
        ("docvqa/xnbl0037_1.png", "What is the date?", "8 May 1997"),
        ("/allava_laion/images/100760552.jpeg", "What could it be?", "A shop."),
    ]
    data = [{"id": f"x-{n}", "image": i, "question": q, "gt": gt} | more for n, (i, q, gt) in enumerate(rows)]
    write_json(folder / "VLAA-Thinking-GRPO-25K.json", data)
    for number, (image, _, _) in enumerate(rows[:5]):
        part = image.split("/")[0]
        kind = "JPEG" if image.endswith("jpg") else "PNG"
        tar(folder / "images" / f"{part}.tar.gz", {image: picture(number, kind=kind), f"{part}/other.png": picture(99)})
    return folder
