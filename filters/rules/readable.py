"""Drop questions whose image does not decode, does not suit a vision tower in size or shape, or is blank.

The size is read from the header before a pixel is decoded, and a path that leaves its source is refused before the file
is opened. Transparent images are composed onto white before the check for blankness, as everywhere.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from PIL import Image
from pydantic import Field, PositiveInt

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Answer, Question, Stage, Verdict
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem
from datagen.setting import Setting
from filters.base import Judge, Rule

_REMEMBERED = 65_536
#: Number of outliers ignored among the darkest and the lightest pixels; fewer in images under 4096 pixels.
_ODD = 16
_OF_PIXELS = 256
_LEVELS = 256


class ReadableSection(Rule):
    """The image file decodes, suits a vision tower in size and shape, and is not blank.

    Sides and pixels are those of the file, `max_aspect` is the longer side by the shorter. `min_contrast` is the number
    of the 255 levels that red, green or blue must span, without a few outliers; 0 disables the check.
    """

    phase: ClassVar[Phase] = Phase.QUESTION
    reads_files: ClassVar[bool] = True

    name: Literal["readable"] = "readable"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value, Stage.VISUAL.value)
    min_side: Annotated[int, Field(ge=28)] = 28
    max_pixels: PositiveInt = 100_000_000
    max_bytes: PositiveInt = 200_000_000
    max_aspect: Annotated[float, Field(ge=1)] = 20.0
    min_contrast: Annotated[int, Field(ge=0, le=255)] = 12

    def judging(self, at: Setting) -> Judge:
        """A function that decodes an image of several questions once."""
        known = lru_cache(_REMEMBERED)(problem)

        def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
            del answers
            reason, detail = known(at.folders[question.stage], question.image_path, self)
            return self.verdict(question, reason is Reason.KEPT, reason, detail)

        return judge


def problem(folder: Path, name: str, section: ReadableSection) -> tuple[Reason, str]:
    """The fault of the image `name` below `folder` and its detail; `KEPT` for none, or without a name."""
    try:
        if name:
            _check(_file(folder, name), section)
    except ImageProblem as found:
        return found.reason, found.detail
    return Reason.KEPT, ""


def _file(folder: Path, name: str) -> Path:
    """The path, which must not leave `folder` except through a linked folder, as those below `places` are."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ImageProblem(Reason.PATH_ESCAPES, f"{name!r} leads out of the image folder")
    parent = folder / path.parent
    try:
        within = parent.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte in a name, links in a circle
        raise ImageProblem(Reason.MISSING_FILE, f"{name!r} is no usable file name ({error})") from error
    return image_decoding.inside(folder, name) if within else image_decoding.inside(parent, path.name)


def _check(path: Path, section: ReadableSection) -> None:
    image = shown.checked(image_decoding.file_bytes(path, section.max_bytes), section.max_pixels)
    short, long = sorted(image.size)
    size = f"{image.width} x {image.height} pixels"
    if short < section.min_side:
        raise ImageProblem(Reason.IMAGE_TOO_SMALL, f"{size}, a side under {section.min_side}")
    if long > section.max_aspect * short:
        raise ImageProblem(Reason.IMAGE_TOO_NARROW, f"{size}, more than {section.max_aspect:g} to 1")
    if section.min_contrast and (found := contrast(image)) < section.min_contrast:
        detail = f"no colour channel spans {section.min_contrast} levels of 255 (the widest spans {found})"
        raise ImageProblem(Reason.BLANK_PICTURE, detail)


def contrast(image: Image.Image) -> int:
    """The number of 255 levels that the widest channel of an RGB image spans, without outliers.

    A line drawing is a few dark pixels on white, so the outliers are a small number and not a share: dust, dead pixels
    of a sensor, compression artefacts.
    """
    odd = min(_ODD, image.width * image.height // _OF_PIXELS)
    counts = image.histogram()
    channels = [counts[start : start + _LEVELS] for start in range(0, len(counts), _LEVELS)]
    return max(_LEVELS - 1 - _cut(channel, odd) - _cut(channel[::-1], odd) for channel in channels)


def _cut(counts: list[int], odd: int) -> int:
    """The number of levels from this end with at most `odd` pixels in all."""
    return sum(total <= odd for total in accumulate(counts))
