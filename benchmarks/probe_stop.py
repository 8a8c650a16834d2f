"""How many requests a probe saves that stops when it has decided, and whether it keeps the same rows.

The demo's recipe with the two solvers of the embedded world builds its perception stage twice, asking everything and
until decided. The table of all answers is then asked again by every mode of the rule, without models.
"""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.extends import read
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question
from capcurriculum.run import Run
from curricula.build import build
from datagen.probe import answered
from datagen.undecided import Undecided
from filters import pipeline
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
    kept = [set(pipeline.kept_ids(*one).collect()["question_id"]) for one in (everything, decided)]
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


def _tables(run: Run, wanted: Recipe, questions: list[Question]) -> Any:
    from capcurriculum.ledger.corrections import corrections

    found = answered(run, questions, corrections(run, wanted))
    return [(question, found[question.question_id]) for question in questions if found[question.question_id]]


@cache
def _built() -> tuple[tuple[Run, Recipe], tuple[Run, Recipe]]:
    folder = Path(tempfile.mkdtemp(prefix="probe-stop-"))
    everything, decided = (_recipe(folder, stop, stop, MODES[0]) for stop in ("never", "decided"))
    return (build(everything, Display()), everything), (build(decided, Display()), decided)


def _recipe(folder: Path, name: str, stop: str, mode: dict[str, Any]) -> Recipe:
    data: Any = read(DEMO)
    for stage in ("text", "visual", "training"):
        del data[stage]
    data |= {"name": name, "runs": str(folder), "filters": [{"name": "perception", **mode}, "rollouts"]}
    data["models"] |= {one: {"engine": "transformers", "model": f"micro:{one}"} for one in SOLVERS}
    data["rollouts"] = {"model": "policy", "k": 1, "sampling": data["rollouts"]["sampling"]}
    data["perception"]["source"]["items"] = IMAGES
    data["perception"]["probe"] |= {"solvers": list(SOLVERS), "stop": stop}
    data["perception"]["probe"]["sampling"]["temperature"] = 0.0
    return recipe.parse(data, name)


def _probes(run: Run) -> pl.DataFrame:
    return run.answers.scan().filter(pl.col("purpose") == "probe").collect()
