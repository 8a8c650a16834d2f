"""How far VLMEvalKit's score is from ours on the same replies, and why; and which replies the two read otherwise.

Held-out scenes go through the kit: a micro model served by vLLM on the CPU needs no network, and the kit matches by
itself. Its replies are then graded by `capcurriculum.answers`. None where the kit is not installed (`make eval-venv`).
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capcurriculum import answers, cli
from capcurriculum.rows import Outcome
from evaluation import kits
from evaluation.benchmarks import scenes
from evaluation.results import results, samples
from evaluation.results.samples import Sample
from evaluation.vlmevalkit import session

ROOT = Path(__file__).parents[1]
MODELS, QUESTIONS, REPLIES = ("micro:start", "micro:solver_a"), 300, 1_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Scores of one model in percent, and the replies on which kit and grader differ: (kit, ours, reply, why)."""

    model: str
    kit: float
    ours: float
    differ: tuple[tuple[str, str, str, str], ...]


def points() -> float | None:
    """The larger of the models' differences between the kit's score and ours, in points."""
    found = measured()
    return None if found is None else round(max(abs(one.kit - one.ours) for one in found), 6)


def python() -> Path | None:
    """The Python of the kit's environment."""
    path = ROOT / kits.DEFAULT
    return path if path.is_file() else None


@cache
def measured() -> tuple[Agreement, ...] | None:
    """Every model through the kit, and its replies through our grader."""
    interpreter = python()
    if interpreter is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes.write(folder / "Scenes.tsv", QUESTIONS)
        words = ["evaluate", *MODELS, "--suite", str(folder / "Scenes.tsv"), "--out", str(folder / "out")]
        words += ["--engine", session.NAME, "--judge", "exact", "--python", str(interpreter)]
        with contextlib.redirect_stdout(sys.stderr):
            if cli.main(words):
                raise RuntimeError("the kit's evaluation failed; its sentence is above")
        scores = {score.model: score.score for score in results.scores_in(folder / "out")}
        rows = samples.samples(folder / "out")
        return tuple(_agreement(model, scores[model], [r for r in rows if r.model == model]) for model in MODELS)


def _agreement(model: str, kit: float, rows: Sequence[Sample]) -> Agreement:
    grades = [answers.grade(row.prediction, row.gold, row.options) for row in rows]
    right = sum(grade.outcome is Outcome.RIGHT for grade in grades)
    differ = [
        (row.outcome, grade.outcome.value, row.prediction, grade.detail)
        for row, grade in zip(rows, grades, strict=True)
        if (row.outcome == Outcome.RIGHT) != (grade.outcome is Outcome.RIGHT)
    ]
    return Agreement(model, kit, 100 * right / len(rows), tuple(differ))


_OPTIONS = ("a red car", "a blue car", "two dogs", "a cat on a mat")
#: Form -> what a reply looks like, and whether it names the right option, another one, or none.
FORMS: Mapping[str, tuple[str, str]] = {
    "box with the letter": (r"<think> I look at {text}. </think> \boxed{{{letter}}}", "right"),
    "box with letter and text": (r"\boxed{{{letter}. {text}}}", "right"),
    "box with the text": (r"So it is \boxed{{{text}}}.", "right"),
    "letter alone": ("{letter}", "right"),
    "letter in brackets": ("({letter})", "right"),
    "letter, full stop, text": ("{letter}. {text}", "right"),
    "the answer is": ("The answer is {letter}.", "right"),
    "answer with a reason after it": ("Answer: {letter}. It is {text}, as the left side shows it clearly.", "right"),
    "text alone": ("{text}", "right"),
    "sentence with the text": ("The picture shows {text}.", "right"),
    "wrong letter": ("The answer is {other}.", "wrong"),
    "wrong box after the right letter": (r"<think> Could it be {letter}? No. </think> \boxed{{{other}}}", "wrong"),
    "thought lists the options": (
        r"<think> A: a red car. B: a blue car. C: two dogs. D: a cat on a mat. </think> \boxed{{{letter}}}", "right"),
    "article that is a capital A": ("A picture of something else entirely", "none"),
    "two letters": ("{letter} or {other}", "none"),
    "refusal": ("I'm sorry, but I cannot help with that.", "none"),
    "depends": ("It depends on the light.", "none"),
    "cut off": ("<think> I look at {text}, and then", "none"),
    "empty box": (r"\boxed{{}}", "none"),
    "not the letter": ("The answer is not {letter}.", "none"),
}  # fmt: skip


def varied(count: int = REPLIES, seed: int = 1) -> list[tuple[str, str, str, str]]:
    """(form, reply, gold, truth): replies whose truth is known, as many of each form."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        form, (pattern, truth) = list(FORMS.items())[number % len(FORMS)]
        place = draw.randrange(4)
        letter, other = "ABCD"[place], draw.choice([one for one in "ABCD" if one != "ABCD"[place]])
        found.append((form, pattern.format(letter=letter, other=other, text=_OPTIONS[place]), letter, truth))
    return found


def matched(replies: Sequence[str]) -> list[str] | None:
    """The letters that the kit reads; None where it is not installed."""
    interpreter = python()
    if interpreter is None:
        return None
    script = ROOT / "evaluation" / "vlmevalkit" / "match.py"
    options = dict(zip("ABCD", _OPTIONS, strict=True))
    lines = "".join(json.dumps([reply, options]) + "\n" for reply in replies)
    done = subprocess.run([interpreter, str(script)], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.split()[-len(replies) :]


def matching() -> float | None:
    """The share of varied replies of which both say the same: right or not right."""
    found = compared()
    return None if found is None else sum(n for (_, _, kit, ours), n in found.items() if kit == ours) / REPLIES


@cache
def compared() -> Counter[tuple[str, str, bool, bool]] | None:
    """(form, truth, kit says right, we say right) -> how often."""
    replies = varied()
    letters = matched([reply for _, reply, _, _ in replies])
    if letters is None:
        return None
    found: Counter[tuple[str, str, bool, bool]] = Counter()
    for (form, reply, gold, truth), letter in zip(replies, letters, strict=True):
        ours = answers.grade(reply, gold, _OPTIONS).outcome is Outcome.RIGHT
        found[form, truth, letter == gold, ours] += 1
    return found


def main() -> None:
    """Print both comparisons, every disagreement with its reply."""
    argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__).parse_args()
    for one in measured() or ():
        print(f"{one.model}: VLMEvalKit {one.kit:.2f}, ours {one.ours:.2f}, {len(one.differ)} replies differ")
        for kit, ours, reply, why in one.differ:
            print(f"  kit {kit}, ours {ours} ({why}): {reply!r}")
    for (form, truth, there, here), count in sorted((compared() or Counter()).items()):
        print(f"{form}: truth {truth}, kit {'right' if there else 'not'}, ours {'right' if here else 'not'}: {count}")


if __name__ == "__main__":
    main()
