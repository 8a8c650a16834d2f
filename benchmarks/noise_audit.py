"""The auditors of the label-noise measurement, as the filter has them, asked about what the paper's rule keeps.

Some answer the question from the image. Others describe the image, and a micro model that was taught reading answers
from what they wrote; beside it stand the same descriptions read without a mistake, by the world's own judge.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from benchmarks.noise_world import Setup
from capcurriculum.recipe import Recipe
from capcurriculum.rows import LETTERS, Answer, Arm, Outcome, Purpose, Question
from capcurriculum.run import Run
from datagen.auditor import audit
from datagen.micro import captions, questions
from datagen.sources import gather
from filters.rules.auditor import AuditorSection

#: In how many orders of the options an auditor reads a caption.
CAPTION_ORDERS = 2
JUDGE = "the world's judge"
_TEMPERATURE = 1.0


def answering(setup: Setup, agree: float) -> AuditorSection:
    """The filter by which that share of the votes of auditors that answer must be for the marked option."""
    return AuditorSection.model_validate(
        {
            "name": "auditor/answers",
            "mode": "answer",
            "sees": "image",
            "models": setup.auditors,
            "votes": setup.votes,
            "sampling": {"temperature": _TEMPERATURE, "max_tokens": 32},
            "agree_at_least": agree,
        }
    )


def checking(setup: Setup) -> AuditorSection:
    """The filter by which half of the readings of the caption must give the marked answer, as that of a wrong key."""
    return AuditorSection.model_validate(
        {
            "name": "auditor/captions",
            "mode": "answer",
            "sees": "caption",
            "models": setup.auditors,
            "votes": CAPTION_ORDERS,
            "sampling": {"max_tokens": 32},
        }
    )


def describing(
    setup: Setup, agree: int = 1, ahead: int | None = None, *, passed: int | None = None, orders: int = 1
) -> AuditorSection:
    """The filter by which `agree` of all descriptions must bear the marked answer out.

    With `ahead` no other answer may have more than that many votes more; at most `passed` may tell of no answer.
    """
    total = setup.descriptions * len(setup.auditors)
    return AuditorSection.model_validate(
        {
            "mode": "describe",
            "models": setup.auditors,
            "votes": setup.descriptions,
            "sampling": {"temperature": _TEMPERATURE, "max_tokens": 48},
            "instruction": "Describe the image.",
            "reader": {"model": "reader", "orders": orders, "sampling": {"max_tokens": 32}},
            "agree_at_least": agree / total,
            "ahead_at_most": 1 if ahead is None else ahead / total,
            "unsure_at_most": 1 if passed is None else passed / total,
            "unsure": "drop",
        }
    )


def heard(run: Run, recipe: Recipe, section: AuditorSection, asked: Iterable[Question]) -> Mapping[str, list[Answer]]:
    """Question id -> its votes, asked for where the run does not hold them."""
    wanted = list(asked)
    audit(gather.setting(run, recipe), section, wanted)
    return votes(run, recipe, section, wanted)


def votes(run: Run, recipe: Recipe, section: AuditorSection, asked: Iterable[Question]) -> Mapping[str, list[Answer]]:
    """Question id -> its votes that the run holds."""
    orders = section.reader.orders if section.reader else len(LETTERS)
    mine = pl.col("solver").is_in(section.askers(recipe.models))
    few = pl.col("rollout") < section.votes, pl.col("order") < orders
    found: dict[str, list[Answer]] = {question.question_id: [] for question in asked}
    for vote in run.answers.where(mine, *few, pl.col("question_id").is_in(list(found))):
        found[vote.question_id].append(vote)
    return found


def judged(run: Run, recipe: Recipe, section: AuditorSection, asked: Iterable[Question]) -> Mapping[str, list[Answer]]:
    """The same without a reader: the answer that the world's judge finds in each description that the run holds."""
    names = [section.describer(name, recipe.models) for name in section.models]
    by_image: dict[str, list[tuple[str, int, str]]] = {}
    for one in run.descriptions.where(pl.col("describer").is_in(names), pl.col("rollout") < section.votes):
        by_image.setdefault(one.image_id, []).append((one.describer, one.rollout, one.text))
    return {q.question_id: [read_well(q, *said) for said in by_image.get(q.image_id, ())] for q in asked}


def read_well(question: Question, describer: str, rollout: int, text: str) -> Answer:
    """The vote of a reader that makes no mistake."""
    options = dict(zip(question.options, LETTERS, strict=True))
    found = questions.gold(captions.read(text), question.text)
    # Of no option, or of nothing that is told, a reader says that it is none of those it was offered.
    letter = "" if found is None else options.get(found, "")
    outcome = Outcome.UNPARSED if not letter else Outcome.RIGHT if letter == question.answer else Outcome.WRONG
    return Answer(
        request_key="",
        question_id=question.question_id,
        solver=f"{JUDGE}, {describer}",
        purpose=Purpose.AUDIT,
        arm=Arm.DESCRIPTION,
        rollout=rollout,
        text="",
        answer=letter or "unsure",
        outcome=outcome,
        finish="stop",
        tokens_in=0,
        tokens_out=0,
        prompt_digest="",
    )
