"""The context of a build, which its steps and filters share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run


@dataclass(frozen=True, slots=True)
class Setting:
    """A run, the recipe it is built by, and where progress is shown.

    `folders` maps a stage to the folder that the image paths of its rows are relative to; see `sources.gather.setting`.
    """

    run: Run
    recipe: Recipe
    folders: Mapping[str, Path]
    display: Display = field(default_factory=Display)
