"""Grade stored replies again under corrected keys, with the grader that graded them first; asks no model.

An auditor's judgement of the old key cannot be reused and becomes unknown.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import polars as pl

from capcurriculum import prompts
from capcurriculum.grading.workers import algebra
from capcurriculum.ledger.corrections import ANSWER, corrections
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Outcome, Purpose, Question, Regrade, Response
from capcurriculum.run import Run
from capcurriculum.tables import records
from datagen.batched import windows
from datagen.solver import graded
from filters import evidence

_BATCH = 16_384


def fill(run: Run, recipe: Recipe, within: pl.LazyFrame | None = None) -> None:
    """Append the missing regrades of questions with corrected keys."""
    keys = corrections(run, recipe).keys
    if within is not None:
        keys = keys.lazy().join(within, on="question_id", how="semi").collect()
    if keys.is_empty():
        return
    by_id = dict(keys.select("question_id", "key").iter_rows())
    written = evidence.questions(run, keys)
    questions = {q.question_id: replace(q, answer=by_id[q.question_id]) for q in written}
    known = run.regrades.scan().join(keys.lazy(), on=["question_id", "key"], how="semi")
    todo = run.answers.scan().join(keys.lazy().select("question_id"), on="question_id", how="semi")
    todo = todo.join(known, on=list(ANSWER), how="anti").unique(list(ANSWER), keep="last", maintain_order=True)
    rows = records(todo.collect(), Answer)
    with ThreadPoolExecutor(algebra.workers()) as pool:
        found = pool.map(lambda answer: again(questions[answer.question_id], answer), rows)
        for part in windows(found, _BATCH):
            run.regrades.append(part)


def again(question: Question, answer: Answer) -> Regrade:
    """A stored answer graded under the key of `question`."""
    return Regrade(
        question.question_id, question.answer, answer.solver, answer.purpose, answer.arm, answer.rollout, answer.order,
        *_grade(question, answer),
    )  # fmt: skip


def _grade(question: Question, answer: Answer) -> tuple[str, str, str]:
    """Outcome, extracted answer and detail."""
    if answer.purpose == Purpose.AUDIT and answer.prompt_digest == prompts.digest("auditor"):
        return Outcome.UNPARSED, "", "a judgement of the key before it was corrected"
    if answer.outcome == Outcome.FAILED and answer.finish == "error":
        return answer.outcome, answer.answer, answer.detail
    # A reply without stored text is compared by the letter that was extracted from it.
    if question.options and not answer.text:
        known = answer.outcome in (Outcome.RIGHT, Outcome.WRONG)
        worth = Outcome.RIGHT if answer.answer == question.answer else Outcome.WRONG
        return (worth if known else answer.outcome), answer.answer, answer.detail
    return graded(question, Response("", answer.text, answer.finish), answer.order)
