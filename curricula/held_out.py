"""The questions that no training set holds."""

import numpy as np
import polars as pl

from capcurriculum.corrections import corrections
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Question
from capcurriculum.run import Run
from capcurriculum.tables import records
from curricula import hashing
from curricula.keys import keys
from curricula.split import SPLITS


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
