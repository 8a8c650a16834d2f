"""How many requests a probe saves that stops when it has decided, and whether it keeps the same rows.

The demo's recipe with the two solvers of the embedded world builds its perception stage twice, asking everything and
until decided. The table of all answers is then asked again by every mode of the rule, without models.

`python -m benchmarks.probe_stop` prints what stopping saves on a funnel as large as the paper's, by simulation: 14,847
captions of which 22.6 % are kept, two solvers, each right from the caption in 95 % of the questions, independently. How
often the first one is wrong from the image is not published, so it is varied; of those, as many are wrong by the second
as 22.6 % need.
"""

import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum import recipe
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.extends import read
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question
from capcurriculum.run import Run
from curricula.build import build
from datagen.probe import among, answered
from datagen.undecided import Undecided
from filters.rules.panel import Panel, ProbeRule

DEMO = Path("curricula/recipes/demo.yaml")
IMAGES = 300
SOLVERS = ("solver_a", "solver_b")
MODES: tuple[dict[str, Any], ...] = (
    {"mode": "all"},
    {"mode": "majority"},
    {"mode": "at_least", "at_least": 1},
    {"mode": "soft", "image_at_most": 0.5, "caption_at_least": 0.5},
)


def requests_ratio() -> float:
    """Requests of a probe that stops, its control sample among them, over those of two full arms."""
    everything, decided = _built()
    ratio = _probes(decided[0]).height / _probes(everything[0]).height
    print(f"{_probes(decided[0]).height} of {_probes(everything[0]).height} requests")
    return ratio


def selection_differs() -> float:
    """Rows that one build keeps and the other does not, or that a mode of the rule decides otherwise when it stops."""
    everything, decided = _built()
    kept = [set(kept_ids(*one).collect()["question_id"]) for one in (everything, decided)]
    print(f"{len(kept[0])} rows kept")
    return len(kept[0] ^ kept[1]) + sum(map(_differing, MODES))


def _differing(mode: dict[str, Any]) -> int:
    run, full = _built()[0]
    wanted = full.model_copy(update={"filters": _recipe(run.path.parent, "other", "decided", mode).filters})
    undecided = Undecided(wanted, "perception")
    rule = next(one for one in wanted.filters if isinstance(one, ProbeRule))
    panel = Panel.of(wanted.captioned["perception"].probe)
    questions = [q for q in run.questions.rows() if q.stage == "perception"]
    differing = asked = total = 0
    for question, table in _tables(run, full, questions):
        some: list[Answer] = []
        while keys := undecided.needed(question, some):
            some.append(table[keys[0]])
        asked, total = asked + len(some), total + len(table)
        differing += rule.judge(question, some, panel).keep != rule.judge(question, list(table.values()), panel).keep
    print(f"{mode}: {asked} of {total} requests, {differing} rows differ")
    return differing


PAPER_ROWS, PAPER_KEPT, READS = 14_847, 0.226, 0.95


def simulated(wrong: float, control: float) -> tuple[int, int]:
    """Requests of a probe that stops and rows kept, where the first solver is wrong from the image so often."""
    wanted = _recipe(Path("runs"), "simulated", "decided", MODES[0], control=control)
    undecided, draw = Undecided(wanted, "perception"), random.Random(0)
    both = PAPER_KEPT / READS**2
    requests = kept = 0
    for number in range(PAPER_ROWS):
        question = Question(f"q{number}", "perception", "", "A", ("",) * 4, "", "", "", "", "", "", "")
        misses = draw.random() < wrong
        misses_too = draw.random() < both / wrong if misses else draw.random() < 0.1
        outcomes = {("solver_a", "image"): not misses, ("solver_b", "image"): not misses_too}
        outcomes |= {(solver, "caption"): draw.random() < READS for solver in SOLVERS}
        replies: list[Answer] = []
        while keys := undecided.needed(question, replies):
            solver, arm, order = keys[0]
            outcome = "right" if outcomes[solver, arm] else "wrong"
            letter = "A" if outcomes[solver, arm] else "B"
            replies.append(Answer("", "", solver, "probe", arm, 0, "", letter, outcome, "", 0, 0, "", order=order))
        requests += len(replies)
        kept += undecided.deciding(question, replies) is not None
    return requests, kept


def _tables(run: Run, wanted: Recipe, questions: list[Question]) -> Any:
    from capcurriculum.ledger.corrections import corrections

    found = answered(run, corrections(run, wanted), among(questions))
    return [(question, found[question.question_id]) for question in questions if found[question.question_id]]


@cache
def _built() -> tuple[tuple[Run, Recipe], tuple[Run, Recipe]]:
    folder = Path(tempfile.mkdtemp(prefix="probe-stop-"))
    everything, decided = (_recipe(folder, stop, stop, MODES[0]) for stop in ("never", "decided"))
    return (build(everything, Display()), everything), (build(decided, Display()), decided)


def _recipe(folder: Path, name: str, stop: str, mode: dict[str, Any], control: float = 0.02) -> Recipe:
    data: Any = read(DEMO)
    for stage in ("text", "visual", "training"):
        del data[stage]
    data |= {"name": name, "runs": str(folder), "filters": [{"name": "perception", **mode}, "rollouts"]}
    data["models"] |= {one: {"engine": "transformers", "model": f"micro:{one}"} for one in SOLVERS}
    data["rollouts"] = {"model": "policy", "k": 1, "sampling": data["rollouts"]["sampling"]}
    data["perception"]["source"]["items"] = IMAGES
    data["perception"]["probe"] |= {"solvers": list(SOLVERS), "stop": stop, "control": control}
    data["perception"]["probe"]["sampling"]["temperature"] = 0.0
    return recipe.parse(data, name)


def _probes(run: Run) -> pl.DataFrame:
    return run.answers.scan().filter(pl.col("purpose") == "probe").collect()


if __name__ == "__main__":
    for wrong in (0.3, 0.4, 0.5, 0.6, 0.8):
        requests, kept = simulated(wrong, 0.02)
        print(
            f"first solver wrong from the image {wrong:.0%}: {requests:,} of {4 * PAPER_ROWS:,} requests "
            f"({requests / 4 / PAPER_ROWS:.0%}), {kept:,} rows kept ({kept / PAPER_ROWS:.1%})"
        )
