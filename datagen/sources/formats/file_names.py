"""From a name that a row gives to the file that is meant: other systems spell the same name in other bytes.

macOS writes accents as letters of their own (NFD), Windows writes backslashes and does not tell capitals from small
letters, and names from URLs have %20 for a blank. The name itself comes first; another spelling counts only where one
file alone fits it, so nothing is guessed.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from capcurriculum.reasons import Reason
from datagen import image_decoding
from datagen.image_decoding import ImageProblem

_SHOWN = 3
_REMEMBERED = 16


def spelled(name: str, *, cased: bool) -> tuple[str, ...]:
    """The parts of a name in one spelling: slashes, no percent signs, NFC, and small letters unless `cased`."""
    plain = unicodedata.normalize("NFC", unquote(name.lstrip("/").replace("\\", "/")))
    return PurePosixPath(plain if cased else plain.casefold()).parts


def inside(folder: Path, name: str) -> tuple[Path, str]:
    """The file that `name` means below `folder`, and its name as it is spelled there.

    Raises:
        ImageProblem: it is not there, lies outside, or several files fit.
    """
    exact = name.lstrip("/")  # upstream writes some names with a leading slash, meaning the image folder
    try:
        return image_decoding.inside(folder, exact), exact
    except ImageProblem as problem:
        if problem.reason is not Reason.MISSING_FILE:
            raise
        missing = problem
    for cased in (True, False):
        found = _spellings(folder, cased).get(spelled(name, cased=cased), ())
        if len(found) > 1:
            several = ", ".join(map(repr, found[:_SHOWN]))
            detail = f"there is no file {name!r}, and several are spelled like it: {several}"
            raise ImageProblem(Reason.MISSING_FILE, detail)
        if found:
            return image_decoding.inside(folder, found[0]), found[0]
    raise missing


@lru_cache(_REMEMBERED)
def _spellings(folder: Path, cased: bool) -> Mapping[tuple[str, ...], list[str]]:
    """Spelling -> names of the files below a folder; read once, when a first name is not found as it is written."""
    found: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for place, _, files in os.walk(folder):
        for file in sorted(files):
            name = (Path(place) / file).relative_to(folder).as_posix()
            found[spelled(name, cased=cased)].append(name)
    return found
