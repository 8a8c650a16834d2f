"""A small built run for the cases to damage, made once."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from capcurriculum.rows import Attempt, CaptionedImage, Description, Regrade, Review
from capcurriculum.run import Run, existing
from tests.support import hub_runs

TABLES = ("captions", "attempts", "questions", "descriptions", "answers", "verdicts", "reviews", "regrades")
#: Rows of the run's table of questions.
QUESTIONS = 12


@cache
def _made() -> Run:
    folder = Path(tempfile.mkdtemp(prefix="capcurriculum-bad-inputs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = hub_runs.build(folder, rows=QUESTIONS // 2, stages=("text", "visual"))
    run.captions.append([CaptionedImage("c1", "r1", "i1", "images/1.png", "A plain picture.", "docci", "mit", "e1")])
    run.attempts.append([Attempt("k1", "c1", 0, "color", "{}", "", "stop", 1, 1, "teacher", "p")])
    run.descriptions.append([Description("k2", "i1", "d", 0, "Red.", "stop", 1, 1, "p")])
    run.reviews.append([Review("v1", "q1", "1", "ann", "page", "2026-01-01T00:00:00+00:00", "submitted", "yes")])
    run.regrades.append([Regrade("q1", "A", "policy", "rollout", "image", 0, 0, "right", "A")])
    run.event("built")
    return run


def copied(folder: Path, name: str = "run") -> Run:
    """A copy of it, as a folder of that name."""
    return existing(Path(shutil.copytree(_made().path, folder / name)))
