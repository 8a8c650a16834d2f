"""The questions that no training set holds."""

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
    """Stage -> its questions of the validation and test splits, easy to hard; only stages that have any.

    Raises:
        RunError: a stage has no rows at all, or a table is damaged.
    """
    found = keys(run, recipe)
    places = np.flatnonzero(found.split != SPLITS.index("train"))
    home = pl.DataFrame({"key": found.key[places], "home": places})
    keyed = run.questions.scan().select("question_id", key=hashing.id_key(pl.col("question_id")))
    ids = keyed.join(home.lazy(), on="key", how="inner").sort("home").collect()["question_id"].to_list()
    asked = corrections(run, recipe).questions(run.questions.scan().filter(pl.col("question_id").is_in(ids)))
    questions = {q.question_id: q for q in records(asked.collect(), Question)}
    held: dict[str, list[Question]] = {}
    for question_id in dict.fromkeys(ids):
        question = questions[question_id]
        held.setdefault(question.stage, []).append(question)
    return held


def unseen(run: Run, recipe: Recipe) -> dict[str, list[Question]]:
    """Stage -> every question of an image (or a problem) outside training, whether a filter kept it or not, by id.

    What a filter keeps was chosen by the errors of some models, and so flatters every other; here nothing was chosen.
    """
    frame = run.questions.scan().select("question_id", unit=unit()).unique("question_id").collect()
    outside = places(frame["unit"].to_numpy(), recipe.split) != SPLITS.index("train")
    ids = frame.filter(pl.Series(outside))["question_id"].to_list()
    found = {q.question_id: q for q in run.questions.where(pl.col("question_id").is_in(ids))}
    held: dict[str, list[Question]] = {}
    for question_id in sorted(found):
        held.setdefault(found[question_id].stage, []).append(found[question_id])
    return held
