"""Small sources on disk, good and bad, and recipes over them."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Description
from capcurriculum.run import Run


def docci(folder: Path, images: int = 12) -> Path:
    """A DOCCI release of pictures in two colours."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(images):
        name = f"train_{number:05d}.png"
        colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
        picture = Image.new("RGB", (64 + number, 48), colour)
        picture.paste((255 - colour[0], 255, 255), (0, 0, 32, 24))
        picture.save(folder / "images" / name)
        lines.append(docci_line(f"train_{number:05d}", name, f"A plain picture, number {number}."))
    write_lines(folder / "docci_descriptions.jsonlines", lines)
    return folder


def docci_line(example_id: str, image_file: str, description: str) -> str:
    """One line as the release has it."""
    return json.dumps(
        {"example_id": example_id, "split": "train", "image_file": image_file, "description": description}
    )


def problems(folder: Path, count: int = 8) -> Path:
    """Sums, as `problems.jsonl`."""
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"problem": f"What is {n} + {n + 1}?", "answer": str(2 * n + 1), "skill": "sum"})
        for n in range(count)
    ]
    write_lines(folder / "problems.jsonl", lines)
    return folder


def write_lines(path: Path, lines: list[str]) -> None:
    """Lines with an end each."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def begin(run: Run) -> None:
    """Let a run have asked a model something, so that its recipe is settled."""
    run.descriptions.append([Description("k", "i", "d", 0, "", "error", 0, 0, "p")])


def recipe_over(folder: Path, url: str, probe: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> Recipe:
    """A recipe whose every model is the endpoint at `url`; `changes` replace keys, and `probe` those of the probe."""
    model = {"engine": "openai", "base_urls": [url], "timeout_seconds": 20}
    data: dict[str, Any] = {
        "name": "small",
        "runs": str(folder / "runs"),
        "models": {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")},
        "perception": {
            "source": {"kind": "docci", "path": str(folder / "docci")},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"], **probe},
        },
        "text": {"source": {"kind": "problems", "path": str(folder / "text"), "source": "sums", "license": "mit"}},
        "rollouts": {"model": "policy", "k": 3},
        "split": {"val": 0.2, "test": 0.2},
    }
    return recipe.parse(data | changes, "test")
