"""Fingerprints of the sources that were read to their end: an unchanged source is not read again.

A source is identified by its section of the recipe, and its fingerprint is made of the paths, sizes and times of its
files, so that rows added later are found, and a resumed build opens no image twice. Image files replaced since their
rows were made are an error: an image is identified by its pixels.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from capcurriculum.errors import RunError, SourceError
from capcurriculum.files import checked_json, json_file
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import SCHEMA, digest
from capcurriculum.run import Run, stage_of_caption
from capcurriculum.tables import write_atomically
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem

FILE = "gathered.json"


class Gathered:
    """The sources of one run that were read to their end."""

    def __init__(self, run: Run) -> None:
        self._path = run.path / FILE
        self._looks: dict[str, str] = _read(self._path)

    def holds(self, stage: str, number: int, section: SourceSection, folder: Path) -> bool:
        """Whether the source was read to its end as it is now."""
        return self._looks.get(_name(stage, number, section)) == _looks(folder)

    @property
    def since(self) -> float:
        """When a source was last read to its end, or the run begun, in seconds since the epoch.

        0 where that is yet to come: the clock was set back since, and the times of files say nothing.
        """
        path = self._path if self._path.is_file() else self._path.with_name("run.json")
        read = path.stat().st_mtime if path.is_file() else 0.0
        return read if read <= time.time() else 0.0

    def note(self, stage: str, number: int, section: SourceSection, folder: Path) -> None:
        """Remember that the source was read to its end."""
        self._looks[_name(stage, number, section)] = _looks(folder)
        write_atomically(self._path, checked_json.encode(self._looks))


def _read(path: Path) -> dict[str, str]:
    try:
        return {str(name): str(looks) for name, looks in json_file.mapping(path).items()} if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it, and the sources are read again.") from error


def _name(stage: str, number: int, section: SourceSection) -> str:
    # A source that lies somewhere else now is the same if its files look the same.
    return digest(SCHEMA, "source", stage, number, section.model_dump(mode="json", exclude={"path"}))


def _looks(folder: Path) -> str:
    if folder.is_file():
        about = folder.stat()
        return digest(SCHEMA, "looks", [(folder.name, about.st_size, about.st_mtime_ns)])
    return digest(SCHEMA, "looks", sorted(_files(folder, ""))) if folder.is_dir() else ""


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of change of every file below `folder`; directories behind links are not entered."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(folder / entry.name, f"{prefix}{entry.name}/")
                continue
            try:
                if entry.is_file():
                    about = entry.stat()
                    yield f"{prefix}{entry.name}", about.st_size, about.st_mtime_ns
            except OSError:  # a link that leads to itself is no file
                continue


def check_images(run: Run, stage: str, base: Path, since: float) -> None:
    """Look at the images of a stage's rows whose files changed after `since` (seconds since the epoch).

    Raises:
        SourceError: one shows something else now.
    """
    captions = run.captions.scan().filter(stage_of_caption() == stage).select("image_id", "image_path")
    problems = run.questions.scan().filter(pl.col("stage") == stage, pl.col("caption_id") == "")
    rows = pl.concat([captions, problems.select("image_id", "image_path")]).filter(pl.col("image_path") != "")
    other = [name for image_id, name in rows.unique().collect().iter_rows() if _differs(base / name, image_id, since)]
    if other:
        raise SourceError(
            f"Of the images of the {stage} source {len(other):,} are not those any more that rows were made from, as "
            f"{sorted(other)[0]}; put them back, or give the recipe another name."
        )


def _differs(path: Path, image_id: str, since: float) -> bool:
    """Whether a file that changed shows another image; a missing file is reported where it is opened."""
    try:
        about = path.stat()
        if max(about.st_mtime, about.st_ctime) <= since:
            return False
        return shown.image_id(shown.checked(image_decoding.file_bytes(path), shown.MOST_PIXELS)) != image_id
    except FileNotFoundError:
        return False
    except (OSError, ImageProblem):
        return True
