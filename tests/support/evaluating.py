"""Small benchmarks on disk, and `evaluate` as a user calls it."""

import base64
import csv
from io import BytesIO
from pathlib import Path

from PIL import Image

from capcurriculum import cli

COLUMNS = ("index", "image", "question", "A", "B", "C", "D", "answer")


def picture(number: int) -> str:
    """A small picture as base64."""
    data = BytesIO()
    Image.new("RGB", (40, 40), (number * 37 % 256, number * 91 % 256, 7)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def line(number: int, **changes: str) -> dict[str, str]:
    """A question whose right option the endpoint of the tests knows: it is marked `right`, at a letter that varies."""
    letter = "ABCD"[number % 4]
    options = {name: f"wrong {name} {number}" for name in "ABCD"} | {letter: f"right {number}"}
    row = {"index": str(number), "image": picture(number), "question": f"What is number {number}?", "answer": letter}
    return row | options | changes


def tsv(path: Path, rows: list[dict[str, str]]) -> Path:
    """The rows as a benchmark file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(
            handle, [*COLUMNS, *sorted({k for row in rows for k in row} - set(COLUMNS))], delimiter="\t"
        )
        writer.writeheader()
        writer.writerows(rows)
    return path


def evaluate(*words: str) -> int:
    """The verb's exit code."""
    return cli.main(["evaluate", *words])
