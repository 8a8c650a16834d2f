"""The trainings of the run on the page: their curves, and replies to the same rows before and after each stage.

Images are embedded in the page as data URLs.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from capcurriculum.errors import RunError
from capcurriculum.run import Run
from cards.report.images import thumbnail
from datagen.image_decoding import ImageProblem
from training import samples
from training.samples import StageSamples
from training.supervise import curves, metrics

#: The most characters of a reply; a longer one is cut in the middle.
TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Trained:
    """A training: `curves` is the data URL of a plot of the panels `drawn` ("" with the reason in `missing`).

    `images` maps question ids to data URLs.
    """

    name: str
    curves: str
    missing: str
    drawn: Sequence[str]
    stages: Sequence[StageSamples] = ()
    images: Mapping[str, str] = field(default_factory=dict)


def trainings(run: Run) -> list[Trained]:
    """Every training of the run that has steps, preceded by a joint plot if there are several.

    Raises:
        TrainerError: the steps, the plan or a stage file of a training are damaged.
    """
    folders = curves.trainings(run.path)
    series = {name: metrics.load(folder / curves.METRICS) for name, folder in folders.items()}
    together = [_drawn("All trainings", series)] if len(series) > 1 else []
    return together + [_trained(run, folder, _drawn(name, {name: series[name]})) for name, folder in folders.items()]


def _drawn(name: str, series: Mapping[str, pl.DataFrame]) -> Trained:
    drawn = [panel.words for panel in curves.panels(series)]
    for frame in series.values() if len(series) == 1 else ():
        drawn += [f"{stage} refreshed, {left:.0%} of its rows left" for stage, left in curves.refreshed(frame).items()]
    try:
        return Trained(name, _address("svg+xml", curves.picture(series, "svg")), "", drawn)
    except RunError as error:  # matplotlib is missing
        return Trained(name, "", str(error), drawn)


def _trained(run: Run, folder: Path, drawn: Trained) -> Trained:
    stages = samples.of_training(run.path, folder)
    found = samples.pictures(run.path, {one.question_id for stage in stages for one in stage.samples})
    images = {}
    for key, data in found.items():
        with suppress(ImageProblem):
            images[key] = _address("webp", thumbnail(data))
    return replace(drawn, stages=stages, images=images)


def reply(text: str) -> str:
    """A reply as shown on the page."""
    return text if len(text) <= TEXT else f"{text[: TEXT // 2]} […] {text[-TEXT // 2 :]}"


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
