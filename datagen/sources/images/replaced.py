"""Detects image files that were replaced since their rows were made: an image is identified by its pixels."""

from pathlib import Path

import polars as pl

from capcurriculum.errors import SourceError
from capcurriculum.run import Run, stage_of_caption
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem


def check(run: Run, stage: str, base: Path, since: float) -> None:
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
        return shown.checked(image_decoding.file_bytes(path), shown.MOST_PIXELS).image_id != image_id
    except FileNotFoundError:
        return False
    except (OSError, ImageProblem):
        return True
