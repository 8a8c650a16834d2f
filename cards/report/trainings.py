"""What the page says of the run's trainings: their curves, and replies to the same rows before and after each stage.

Pictures are inside the page: a handful for each stage, and curves that no other file has in this form.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.run import Run
from cards.report import pictures
from datagen.image_decoding import ImageProblem
from training import samples
from training.samples import StageSamples
from training.supervise import curves, metrics

#: Characters of a reply: of a longer one its beginning and its end, where the answer stands.
TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Trained:
    """A training; `curves` is the address of a picture of the panels `drawn` ("" with `missing`, which says why).

    `images` are addresses of pictures by question id.
    """

    name: str
    curves: str
    missing: str
    drawn: Sequence[str]
    stages: Sequence[StageSamples] = ()
    images: Mapping[str, str] = field(default_factory=dict)


def trainings(run: Run) -> list[Trained]:
    """Every training of the run that has steps, of several first all of them over each other.

    Raises:
        TrainerError: its steps, its plan or a stage file are damaged.
    """
    folders = curves.trainings(run.path)
    series = {name: metrics.load(folder / curves.METRICS) for name, folder in folders.items()}
    together = [_drawn("All trainings", series)] if len(series) > 1 else []
    return together + [_trained(run, folder, _drawn(name, {name: series[name]})) for name, folder in folders.items()]


def _drawn(name: str, series: Mapping[str, pl.DataFrame]) -> Trained:
    drawn = [panel.words for panel in curves.panels(series)]
    try:
        return Trained(name, _address("svg+xml", curves.picture(series, "svg")), "", drawn)
    except RunError as error:  # matplotlib is missing
        return Trained(name, "", str(error), drawn)


def _trained(run: Run, folder: Path, drawn: Trained) -> Trained:
    stages = samples.of_training(run.path, folder)
    found = samples.pictures(run.path, {one.question_id for stage in stages for one in stage.samples})
    images = {key: _address("webp", small) for key, data in found.items() if (small := _small(data))}
    return replace(drawn, stages=stages, images=images)


def reply(text: str) -> str:
    """A reply as the page shows it."""
    return text if len(text) <= TEXT else f"{text[: TEXT // 2]} […] {text[-TEXT // 2 :]}"


def _small(data: bytes) -> bytes | None:
    try:
        return pictures.shrunk(data)
    except ImageProblem:
        return None


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
