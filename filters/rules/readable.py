"""Keep what has an image that can be shown: it decodes, its size and shape suit a vision tower, and it is not blank.

The evidence is the file, decoded once. Its size is read from the header before a pixel is decoded, so a bomb costs
nothing, and a path that leaves its source is refused before the file is opened. Blank is what looks so where it is
shown: a white drawing on a clear ground is, since pictures are shown on white, and a black one is not.
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
#: As many of the darkest and of the lightest pixels do not count, and fewer where there are fewer than 4096.
_ODD = 16
_OF_PIXELS = 256
_LEVELS = 256


class ReadableSection(Rule):
    """The image file can be opened and decoded, its size is one a vision tower can use, and there is something on it.

    Sides and pixels are of the file, `max_aspect` is the longer side by the shorter. `min_contrast` is how many of the
    255 levels of red, green or blue the picture must span as it is shown, a few odd pixels left out; 0 asks for none.
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
        """The function that judges; an image that several questions are about is decoded once."""
        known = lru_cache(_REMEMBERED)(problem)

        def judge(question: Question, answers: Sequence[Answer]) -> Verdict:
            del answers
            reason, detail = known(at.folders[question.stage], question.image_path, self)
            return self.verdict(question, reason is Reason.KEPT, reason, detail)

        return judge


def problem(folder: Path, name: str, section: ReadableSection) -> tuple[Reason, str]:
    """What is wrong with the image file `name` below `folder`, and its detail; `KEPT` for nothing or without a name."""
    try:
        if name:
            _check(_file(folder, name), section)
    except ImageProblem as found:
        return found.reason, found.detail
    return Reason.KEPT, ""


def _file(folder: Path, name: str) -> Path:
    """The file itself must not lead out; a folder on the way to it may be a link, as those below `places` are."""
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
    picture = shown.checked(image_decoding.file_bytes(path, section.max_bytes), section.max_pixels)
    _check_shape(picture.width, picture.height, section)
    if section.min_contrast and (found := contrast(picture)) < section.min_contrast:
        detail = f"no colour channel spans {section.min_contrast} levels of 255 (the widest spans {found})"
        raise ImageProblem(Reason.BLANK_PICTURE, detail)


def _check_shape(width: int, height: int, section: ReadableSection) -> None:
    short, long = sorted((width, height))
    size = f"{width} x {height} pixels"
    if short < section.min_side:
        raise ImageProblem(Reason.IMAGE_TOO_SMALL, f"{size}, a side under {section.min_side}")
    if long > section.max_aspect * short:
        raise ImageProblem(Reason.IMAGE_TOO_NARROW, f"{size}, more than {section.max_aspect:g} to 1")


def contrast(picture: Image.Image) -> int:
    """Levels of 255 that the colours of a picture in mode RGB span, odd pixels left out, in its widest channel.

    A line drawing is a few dark pixels on white, so no share of the pixels may be cut off: only so few that they are
    dust, a dead pixel of a sensor, or what a lossy format makes of one.
    """
    odd = min(_ODD, picture.width * picture.height // _OF_PIXELS)
    counts = picture.histogram()
    channels = [counts[start : start + _LEVELS] for start in range(0, len(counts), _LEVELS)]
    return max(_LEVELS - 1 - _cut(channel, odd) - _cut(channel[::-1], odd) for channel in channels)


def _cut(counts: list[int], odd: int) -> int:
    """Levels from this end that no more than `odd` pixels have."""
    return sum(total <= odd for total in accumulate(counts))
