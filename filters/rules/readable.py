"""Keep what has an image that can be shown: it decodes, its size and shape suit a vision tower, and it is not blank.

The evidence is the file, decoded once. Its size is read from the header before a pixel is decoded, so a bomb costs
nothing, and a path that leaves its source is refused before the file is opened. Blank is what looks so where it is
shown: a white drawing on a clear ground is, since pictures are shown on white, and a black one is not.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import ReadableSection
from capcurriculum.rows import Question, Verdict
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem
from filters.rules.contrast import contrast
from filters.verdict import verdict

FILTER = "readable"
_REMEMBERED = 65_536


def judge(question: Question, folder: Path, section: ReadableSection) -> Verdict:
    """The verdict on the question's image below `folder`; a problem without an image has nothing to read."""
    return _verdict(question, problem(folder, question.image_path, section))


def judging(folders: Mapping[str, Path], section: ReadableSection) -> Callable[[Question], Verdict]:
    """The same for many questions: an image that several of them are about is decoded once."""
    known = lru_cache(_REMEMBERED)(problem)
    return lambda question: _verdict(question, known(folders[question.stage], question.image_path, section))


def _verdict(question: Question, found: tuple[Reason, str]) -> Verdict:
    reason, detail = found
    return verdict(question, FILTER, reason is Reason.KEPT, reason, detail)


def problem(folder: Path, name: str, section: ReadableSection) -> tuple[Reason, str]:
    """What is wrong with an image file, and its detail; `KEPT` for nothing."""
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
    picture = shown.checked(image_decoding.file_bytes(path, section.max_bytes), section.max_pixels).image
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
