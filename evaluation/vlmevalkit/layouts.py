"""Where VLMEvalKit (ms-vlmeval 0.0.20) leaves what it found of a reply and of a benchmark, by the kit's class.

Read in its source. `{judge}` is the judge's name in its files. What a judge failed to say the kit counts as wrong, and
what a judge cannot match it decides by drawing a letter at random: both are unknown here.
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
#: What stands in place of a reply that never came.
NO_REPLY = "Failed to obtain answer"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one of the kit's classes is read.

    `judged` is the suffix of the file with a row for each sample, `found` what such a row says. The headline number is
    the one whose key in `status.json` matches `metric` (where `table` is given: that column of that file), times
    `scale`; `name` is what it is called here. `hits` names a check of the kit's own that has to be asked for a row.
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


def _checked(row: Row) -> Found:
    """A row to which the answer of the kit's own check was added."""
    if _RETRIES in row.get("log", ""):
        return Outcome.FAILED, "", f"{JUDGE_GONE}: it did not answer in five tries"
    return _hit(row["hit"]), row.get("res", ""), ""


def _verse(row: Row) -> Found:
    if _RETRIES in row.get("log_extract", "") or _RETRIES in row.get("log_score", ""):
        return Outcome.FAILED, "", f"{JUDGE_GONE}: it did not answer in five tries"
    return _hit(row["score"]), row.get("extract", ""), ""


def _dyna(row: Row) -> Found:
    if row.get("parse", "").strip().lower() in ("false", "0", "0.0") and not row.get("extracted", ""):
        return Outcome.UNPARSED, "", "no short answer was found"
    return _hit(row["correct"]), row.get("extracted", ""), ""


def _words(row: Row) -> Found:
    score = float(row["eval_score"])
    detail = "" if score in (0.0, 1.0) else f"{score:.2f} of 1 by the kit"
    return Outcome.RIGHT if score >= 0.5 else Outcome.WRONG, "", detail


_OVERALL = r"(split=[^|]*\|)?Overall"
_CHOICE = Layout("_{judge}_result", _choice, _OVERALL, 100)
_YES_NO = Layout("_auxmatch", _yes_or_no, r"split=Overall\|Overall", 1, name="F1")
#: A benchmark file, whatever class of the kit's asks it.
OF_FILES = _CHOICE
LAYOUTS: Mapping[str, Layout] = {
    "ImageMCQDataset": _CHOICE,
    "CVBench": Layout("_{judge}_result", _choice, r"(split=2D\|)?Overall", 100, name="mean accuracy of sources"),
    "ImageYORNDataset": _YES_NO,
    "MathVista": Layout("_{judge}", _checked, r"Task&Skill=Overall\|acc", 1, needs_judge=True, hits="mathvista"),
    "MathVision": Layout("_{judge}", _checked, r"Subject=Overall\|acc", 1, needs_judge=True, hits="mathvision"),
    "MathVerse": Layout("_{judge}_score", _verse, _OVERALL, 1, needs_judge=True),
    "WeMath": Layout(
        "_{judge}", _choice, "Score (Strict)", 1, name="strict score", table="_{judge}_score", needs_judge=True
    ),
    "Dynamath": Layout("_{judge}", _dyna, r"Setting=Average\|Overall", 100, needs_judge=True),
    "ImageVQADataset": Layout("_results", _words, r"(split=none\|)?Overall", 1),
}
#: Benchmarks that their class reads in another way.
_NAMED: Mapping[str, Layout] = {
    "HallusionBench": Layout("_auxmatch", _yes_or_no, r"split=Overall\|aAcc", 1),
    "TextVQA_VAL": Layout("_results", _words, r"(split=none\|)?Overall", 1, name="VQA score"),
}


def layout(kit_class: str, name: str) -> Layout | None:
    """How a benchmark is read; None where its class is not known here."""
    return _NAMED.get(name) or LAYOUTS.get(kit_class)


def metric(found: Layout, metrics: Mapping[str, object]) -> float | None:
    """The headline number in percent; None where the kit did not give it, or gave several."""
    values = [value for key, value in metrics.items() if re.fullmatch(found.metric, key)]
    if len(values) != 1 or not isinstance(values[0], int | float):
        return None
    return float(values[0]) * found.scale
