"""How many rollouts a run that only selects can leave out, with exactly the selection of all of them.

The demo's policy answers its text and visual problems K = 16 times; the early-stopping rule is then run over those very
replies, as `rollouts.stop: decided` would have met them one chunk after the other.
"""

import subprocess
from collections import defaultdict

import polars as pl

from benchmarks.road import command, recipe_named
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Purpose
from datagen.early_stopping import enough, rounds, tally
from filters.rules.rollouts import DifficultySection

K, CHUNK = 16, 2


def saved() -> float:
    """Share of the rollouts that early stopping leaves out.

    Raises:
        AssertionError: the selection differs.
    """
    section = RolloutSection(model="policy", k=K, above=0.0, below=1.0, stop="decided", chunk=CHUNK)
    full = section.model_copy(update={"stop": "never"})
    with recipe_named("full", {"perception": None, "training": None, "rollouts": full}) as (file, run):
        subprocess.run(command(file), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rollouts: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in run.answers.where(pl.col("purpose") == Purpose.ROLLOUT):
            rollouts[answer.question_id].append(answer)
        questions = {q.question_id: q for q in run.questions.rows()}
    asked = 0
    for question_id, replies in rollouts.items():
        stopped = _stopped(replies, section)
        asked += len(stopped)
        verdicts = [
            DifficultySection().judge(questions[question_id], some, section).reason for some in (replies, stopped)
        ]
        assert verdicts[0] == verdicts[1], question_id
    total = sum(map(len, rollouts.values()))
    print(f"{asked} of {total} rollouts of {len(rollouts)} questions give the same selection")
    return 1 - asked / total


def _stopped(replies: list[Answer], section: RolloutSection) -> list[Answer]:
    """The replies that would have been asked for."""
    for indices in rounds(section):
        if indices.start and enough(tally(replies, indices.start), section):
            return [reply for reply in replies if reply.rollout < indices.start]
    return replies
