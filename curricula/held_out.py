"""Questions outside of the training split."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from capcurriculum.ledger.corrections import corrections
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Question
from capcurriculum.run import Run
from capcurriculum.tables import records
from curricula import hashing
from curricula.keys import keys
from curricula.split import SPLITS, places, unit


def held_out(run: Run, recipe: Recipe) -> dict[str, list[Question]]:
    """Stage -> kept questions of the validation and test splits, easy to hard, without empty stages.

    Raises:
        RunError: a stage of the recipe has no rows, or a table is damaged.
    """
    found = keys(run, recipe)
    places = np.flatnonzero(found.split != SPLITS.index("train"))
    home = pl.DataFrame({"key": found.key[places], "home": places})
    keyed = run.questions.scan().select("question_id", key=hashing.id_key(pl.col("question_id")))
    ids = keyed.join(home.lazy(), on="key", how="inner").sort("home").collect()["question_id"].to_list()
    asked = corrections(run, recipe).questions(run.questions.scan().filter(pl.col("question_id").is_in(ids)))
    questions = {q.question_id: q for q in records(asked.collect(), Question)}
    return _by_stage(questions[question_id] for question_id in dict.fromkeys(ids))


def unseen(run: Run, recipe: Recipe) -> dict[str, list[Question]]:
    """Stage -> all questions of the validation and test splits by id, kept or dropped, without empty stages.

    Filters select by the errors of some models, which biases the kept questions in favour of all others.
    """
    frame = run.questions.scan().select("question_id", unit=unit()).unique("question_id").collect()
    outside = places(frame["unit"].to_numpy(), recipe.split) != SPLITS.index("train")
    ids = frame.filter(pl.Series(outside))["question_id"].to_list()
    found = {q.question_id: q for q in run.questions.where(pl.col("question_id").is_in(ids))}
    return _by_stage(found[question_id] for question_id in sorted(found))


def _by_stage(questions: Iterable[Question]) -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.stage, []).append(question)
    return found
