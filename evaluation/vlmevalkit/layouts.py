"""Result files of VLMEvalKit (ms-vlmeval 0.0.20) by the kit's dataset class, from its source.

`{judge}` is the judge's name in file names. The kit counts a reply as wrong where its judge failed, and draws a random
letter where the judge matches none; here the first is failed and the second unparsed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from capcurriculum.rows import Outcome
from evaluation.benchmarks.scoring import JUDGE_GONE

Row = Mapping[str, str]
#: Outcome, answer, detail.
Found = tuple[Outcome, str, str]

_RANDOM, _UNMATCHED, _RETRIES = "randomly generate one", "Failed in Prefetch", "retries failed"
#: The text that replaces a missing reply.
NO_REPLY = "Failed to obtain answer"


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read the results of one of the kit's classes.

    `judged` is the suffix of the file with a row for each sample, and `found` reads such a row. The headline number is
    the value in `status.json` whose key matches `metric` (with `table`: that column of that file) times `scale`, and
    `name` is its name here. `hits` names a check of the kit that has to be called for each row.
    """

    judged: str
    found: Callable[[Row], Found]
    metric: str
    scale: float
    name: str = "accuracy"
    table: str = ""
    needs_judge: bool = False
    hits: str = ""


def _hit(value: str) -> Outcome:
    return Outcome.RIGHT if value.strip().lower() in ("1", "1.0", "true") else Outcome.WRONG


def _choice(row: Row) -> Found:
    log = row.get("log", "")
    if _RANDOM in log:
        return Outcome.UNPARSED, "", "no option was matched; the kit drew one at random"
    if _UNMATCHED in log:
        return Outcome.UNPARSED, "", "no option was matched"
    return _hit(row["hit"]), "", ""


def _yes_or_no(row: Row) -> Found:
    answer = row.get("extracted", "")
    if answer not in ("Yes", "No"):
        return Outcome.UNPARSED, "", "neither yes nor no"
    return _hit(row["score"]), answer, ""


def _judged(hit: str, answer: str, *logs: str) -> Callable[[Row], Found]:
    """Read a row that a judge graded, by its columns."""

    def found(row: Row) -> Found:
        if any(_RETRIES in row.get(log, "") for log in logs):
            return Outcome.FAILED, "", f"{JUDGE_GONE}: it did not answer in five tries"
        return _hit(row[hit]), row.get(answer, ""), ""

    return found


def _dyna(row: Row) -> Found:
    if row.get("parse", "").strip().lower() in ("false", "0", "0.0") and not row.get("extracted", ""):
        return Outcome.UNPARSED, "", "no short answer was found"
    return _hit(row["correct"]), row.get("extracted", ""), ""


def _words(row: Row) -> Found:
    score = float(row["eval_score"])
    detail = "" if score in (0.0, 1.0) else f"{score:.2f} of 1 by the kit"
    return Outcome.RIGHT if score >= 0.5 else Outcome.WRONG, "", detail


#: The kit's check adds `hit`.
_CHECKED = _judged("hit", "res", "log")
_VERSE = _judged("score", "extract", "log_extract", "log_score")
_OVERALL = r"(split=[^|]*\|)?Overall"
_CHOICE = Layout("_{judge}_result", _choice, _OVERALL, 100)
_YES_NO = Layout("_auxmatch", _yes_or_no, r"split=Overall\|Overall", 1, name="F1")
#: Benchmark files, whichever class asks them.
OF_FILES = _CHOICE
LAYOUTS: Mapping[str, Layout] = {
    "ImageMCQDataset": _CHOICE,
    "CVBench": Layout("_{judge}_result", _choice, r"(split=2D\|)?Overall", 100, name="mean accuracy of sources"),
    "ImageYORNDataset": _YES_NO,
    "MathVista": Layout("_{judge}", _CHECKED, r"Task&Skill=Overall\|acc", 1, needs_judge=True, hits="mathvista"),
    "MathVision": Layout("_{judge}", _CHECKED, r"Subject=Overall\|acc", 1, needs_judge=True, hits="mathvision"),
    "MathVerse": Layout("_{judge}_score", _VERSE, _OVERALL, 1, needs_judge=True),
    "WeMath": Layout(
        "_{judge}", _choice, "Score (Strict)", 1, name="strict score", table="_{judge}_score", needs_judge=True
    ),
    "Dynamath": Layout("_{judge}", _dyna, r"Setting=Average\|Overall", 100, needs_judge=True),
    "ImageVQADataset": Layout("_results", _words, r"(split=none\|)?Overall", 1),
}
#: Benchmarks that differ from their class.
_NAMED: Mapping[str, Layout] = {
    "HallusionBench": Layout("_auxmatch", _yes_or_no, r"split=Overall\|aAcc", 1),
    "TextVQA_VAL": Layout("_results", _words, r"(split=none\|)?Overall", 1, name="VQA score"),
}


def layout(kit_class: str, name: str) -> Layout | None:
    """The layout of a benchmark; None for an unknown class."""
    return _NAMED.get(name) or LAYOUTS.get(kit_class)


def metric(found: Layout, metrics: Mapping[str, object]) -> float | None:
    """The headline number in percent; None where the kit gave none or several."""
    values = [value for key, value in metrics.items() if re.fullmatch(found.metric, key)]
    if len(values) != 1 or not isinstance(values[0], int | float):
        return None
    return float(values[0]) * found.scale
