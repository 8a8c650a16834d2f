"""The world written to disk: a captioned-image set in DOCCI's format, and problem sets with images.

Beside what a pipeline reads stands `truth.jsonl`, which it never reads: what is really in each image, so that
benchmarks can count how many wrong labels a filter catches. One row is in memory at a time, and the same arguments
write the same bytes.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Stage
from datagen.micro import captions
from datagen.micro.problems import Problem, text_problems, visual_problems
from datagen.micro.render import SIDE, render
from datagen.micro.scenes import Scene, named_seed, scene

DESCRIPTIONS = "docci_descriptions.jsonlines"
TRUTH = "truth.jsonl"
PROBLEMS = "problems.jsonl"
IMAGES = "images"
_JPEG_QUALITY = 95
#: An unreadable file keeps this share of its bytes: enough for the header, too little for the image.
_KEPT = 0.4


def jpeg(about: Scene, noise: int = 0, size: int = SIDE) -> bytes:
    """The image as a JPEG file, without colour subsampling."""
    buffer = BytesIO()
    render(about, noise, size).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _line(file: TextIO, record: Mapping[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")


def export(
    world_dir: Path | str,
    images: int = 300,
    seed: int = 0,
    size: int = SIDE,
    lies: float = 0.0,
    unreadable: float = 0.0,
    near_duplicates: float = 0.0,
    split: str = "train",
) -> Path:
    """Write `images` captioned images of `size` by `size` pixels and return the folder.

    The descriptions file has DOCCI's keys (example_id, split, image_file, description); `truth.jsonl` has example_id,
    objects, caption (the true one), lie, unreadable, near_duplicate_of (an example_id or None). Splits of one `seed`
    share no scene; `split` is also the prefix of ids and file names. Of the captions the share `lies` is wrong about
    one attribute of one object, of the image files `unreadable` is cut off, and `near_duplicates` show an earlier scene
    again, with other noise and word order.

    Raises:
        ValueError: a share is not between 0 and 1.
    """
    for name, value in (("lies", lies), ("unreadable", unreadable), ("near_duplicates", near_duplicates)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is a share between 0 and 1, not {value!r}.")
    folder = Path(world_dir)
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    with (
        (folder / DESCRIPTIONS).open("w", encoding="utf-8", newline="\n") as described,
        (folder / TRUTH).open("w", encoding="utf-8", newline="\n") as truth,
    ):
        for index in range(images):
            data, description, true = _image(index, seed, size, split, (lies, unreadable, near_duplicates))
            (folder / IMAGES / description["image_file"]).write_bytes(data)
            _line(described, description)
            _line(truth, true)
    return folder


def _image(
    index: int, seed: int, size: int, split: str, shares: tuple[float, float, float]
) -> tuple[bytes, dict[str, str], dict[str, object]]:
    """The file of an image, its description and the truth; `shares` are lies, unreadable and near-duplicates."""
    rng = named_seed("export", seed, split, index)
    lied, cut = rng.random() < shares[0], rng.random() < shares[1]
    original = _original(seed, split, index, shares[2])
    about = scene(named_seed("export scene", seed, split, original))
    name, things = f"{split}_{index:05d}", captions.shuffled(about.things, rng)
    data = jpeg(about, noise=index + 1, size=size)
    told = captions.describe(captions.lie(things, rng) if lied else things)
    description = {"example_id": name, "split": split, "image_file": f"{name}.jpg", "description": told}
    twin = None if original == index else f"{split}_{original:05d}"
    objects = [{**asdict(thing), "place": thing.place} for thing in about.things]
    true: dict[str, object] = {"example_id": name, "objects": objects, "caption": captions.describe(things)}
    true |= {"lie": lied, "unreadable": cut, "near_duplicate_of": twin}
    return data[: int(len(data) * _KEPT)] if cut else data, description, true


def _original(seed: int, split: str, index: int, near_duplicates: float) -> int:
    """The index whose scene image `index` shows: its own, or for a near-duplicate an earlier, original one."""
    while index:
        rng = named_seed("export twin", seed, split, index)
        if rng.random() >= near_duplicates:
            break
        index = rng.randrange(index)
    return index


def export_problems(world_dir: Path | str, problems: Iterable[Problem]) -> Path:
    """Write problems to problems.jsonl (problem, answer, skill, image_file) and return the folder.

    Those about a scene have an `image_file` in images/, a JPEG of 96 by 96 pixels.
    """
    folder = Path(world_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PROBLEMS).open("w", encoding="utf-8", newline="\n") as file:
        for index, problem in enumerate(problems):
            record = {"problem": problem.text, "answer": problem.answer, "skill": problem.skill}
            if problem.scene is not None:
                (folder / IMAGES).mkdir(exist_ok=True)
                record["image_file"] = f"{index:05d}.jpg"
                (folder / IMAGES / record["image_file"]).write_bytes(jpeg(problem.scene))
            _line(file, record)
    return folder


def export_source(folder: Path, kind: Stage, section: SourceSection) -> None:
    """Write the world that a `scenes` source names for a stage of a kind, unless `folder` is there already.

    A killed export leaves nothing under the name of `folder`.
    """
    if folder.is_dir():
        return
    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    with removed_if_it_fails(temporary):
        if kind is Stage.PERCEPTION:
            shares = section.lies, section.unreadable, section.near_duplicates
            export(temporary, section.items, section.seed, SIDE, *shares)
        else:
            problems = text_problems if kind is Stage.TEXT else visual_problems
            export_problems(temporary, problems(section.items, section.seed))
        temporary.rename(folder)
