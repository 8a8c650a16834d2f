"""What each engine, a stage file and an evaluation are given of a picture's file."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request, Sampling
from curricula import images as stage_pictures
from datagen.engines import data_urls, vllm_engine
from datagen.engines.transformers_engine import TransformersEngine
from evaluation.benchmarks.images import ImageStore
from tests.support.odd_images import naive


def farthest(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    assert one.size == other.size
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other.convert("RGB"), dtype=int)).max())


def request(path: Path) -> Request:
    turns = (Message("user", "What is it?", images=1),)
    return Request.make("m", turns, Sampling(), images=(("i", str(path)),))


def in_transformers(path: Path) -> Image.Image:
    given: list[Image.Image] = []

    def processor(images: list[Image.Image], **_: Any) -> None:
        given.extend(images)

    TransformersEngine._inputs(SimpleNamespace(limits=None, processor=processor), [request(path)], [""])  # type: ignore[arg-type]
    return given[0]


def in_vllm(path: Path) -> Image.Image:
    turns = vllm_engine.conversation(request(path), ModelSection(engine="vllm", model="m"))
    picture = turns[0]["content"][0]["image_pil"]
    assert isinstance(picture, Image.Image)
    return picture


def at_a_server(path: Path) -> Image.Image:
    head, data = data_urls.data_url(str(path)).split(b",", 1)
    assert head in (b"data:image/jpeg;base64", b"data:image/png;base64", b"data:image/webp;base64")
    return naive(base64.b64decode(data))


def in_stage_files(path: Path) -> Image.Image:
    return naive(stage_pictures.read(path).data)


def in_an_evaluation(path: Path) -> Image.Image:
    folder = ImageStore(path.parent / "evaluation")
    return naive((folder.folder / folder.keep(path.read_bytes())).read_bytes())


EVERY = (in_transformers, in_vllm, at_a_server, in_stage_files, in_an_evaluation)
