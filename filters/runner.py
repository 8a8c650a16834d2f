"""Run the filters of one phase over their pending questions and append the verdicts to the ledger.

A rule gets one question and its replies, so its verdict does not depend on other rows or their order. Evidence is read
in batches of questions, once for all rules of the phase.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import polars as pl

from capcurriculum.ledger.corrections import Corrections, changed, corrections
from capcurriculum.ledger.verdicts import Ledger
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.rows import Answer, Question, Verdict
from datagen.batched import windows
from datagen.setting import Setting
from filters import evidence
from filters.base import CorpusRule, Judge, Rule

#: Questions in a batch; at 16 replies each their evidence takes about 200 MB.
BATCH = 16_384


@dataclass(frozen=True, slots=True)
class _Task:
    """A rule of the recipe and its pending questions, `todo` (see `evidence.missing`)."""

    rule: Rule
    params: str
    judge: Judge
    todo: pl.DataFrame
    reading: Mapping[str, Collection[object]]

    def reads(self, reply: Answer) -> bool:
        """Whether a reply is evidence of the rule; the same rows as `evidence.read_by`."""
        return all(getattr(reply, column) in values for column, values in self.reading.items())


def judge_phase(setting: Setting, phase: Phase, within: pl.LazyFrame | None = None) -> Ledger:
    """Append the pending verdicts of a phase's filters; returns the ledger with them.

    With `within`, filters that compare all questions are skipped.
    """
    run, recipe = setting.run, setting.recipe
    ledger, corrected, corrections_made = Ledger(run, recipe), corrections(run, recipe), changed(run)
    sections = [section for section in recipe.filters if section.phase is phase]

    def todo(section: FilterSection) -> pl.DataFrame:
        return evidence.missing(ledger, section, within, corrections_made)

    tasks = [
        _Task(rule, rule.digest(recipe), rule.judging(setting), todo(rule), rule.reads(recipe))
        for rule in sections
        if isinstance(rule, Rule)
    ]
    for batch in _batches(tasks):
        ledger.append(_judged(setting, tasks, batch, corrected))
    for rule in sections:
        if isinstance(rule, CorpusRule) and (within is None or not rule.compares):
            _over_corpus(setting, ledger, rule, todo(rule), corrected)
    return ledger


def _batches(tasks: Sequence[_Task]) -> Iterator[pl.DataFrame]:
    """`question_id`, `stage`, and for its pending tasks the lists `task` (number) and `asked`, sorted by id."""
    if tasks:
        owed = pl.concat([task.todo.with_columns(task=pl.lit(number)) for number, task in enumerate(tasks)])
        yield from owed.group_by("question_id", "stage").agg("task", "asked").sort("question_id").iter_slices(BATCH)


def _judged(setting: Setting, tasks: Sequence[_Task], batch: pl.DataFrame, corrected: Corrections) -> Iterator[Verdict]:
    asked = batch.filter(pl.col("asked").list.any()).select("question_id")
    phase, text = tasks[0].rule.phase, any(task.rule.reads_text for task in tasks)
    found = {question.question_id: question for question in evidence.questions(setting.run, asked, corrected)}
    replies = evidence.replies(setting.run, asked, phase, text, corrected)
    for number, task in enumerate(tasks):
        owed = batch.explode("task", "asked").filter(pl.col("task") == number)
        for question_id, stage in owed.filter(~pl.col("asked")).select("question_id", "stage").iter_rows():
            yield _not_asked(task.rule.name, task.params, question_id, stage)
        questions = [found[i] for i in owed.filter(pl.col("asked"))["question_id"]]
        for verdict in _each(setting, task, questions, replies):
            yield _finished(verdict, task.rule, task.params)


def _each(
    setting: Setting, task: _Task, questions: Iterable[Question], replies: Mapping[str, Sequence[Answer]]
) -> Iterator[Verdict]:
    def judge(question: Question) -> Verdict:
        there = replies.get(question.question_id, ())
        verdict = task.judge(question, [r for r in there if task.reads(r)])
        if task.rule.phase is Phase.PROBE and _needless(setting.recipe, task.rule, question, there):
            return replace(verdict, keep=False, reason=Reason.NOT_NEEDED, detail="")
        return verdict

    if not task.rule.reads_files:
        yield from map(judge, questions)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(judge, questions)


def _needless(recipe: Recipe, rule: Rule, question: Question, answers: Sequence[Answer]) -> bool:
    """Whether a rule of the probe lacks replies that were not asked for because another one drops the question."""
    asked = {(answer.solver, answer.arm, answer.order) for answer in answers}  # one may have been asked for again
    if len(asked) >= recipe.captioned[question.stage].probe.replies:
        return False
    if not rule.outlook(recipe, question, answers)[1]:
        return False
    others = (f for f in recipe.filters if f is not rule and f.phase is Phase.PROBE and f.action == "drop")
    outlooks = (f.outlook(recipe, question, answers) for f in others if question.stage in f.stages)
    return any(not keep and not still_open for keep, still_open in outlooks)


def _finished(verdict: Verdict, section: FilterSection, params: str) -> Verdict:
    """The verdict with the section's action applied and the digest of its parameters."""
    return replace(verdict, keep=verdict.keep or section.action == "label", params=params)


def _not_asked(name: str, params: str, question_id: str, stage: str) -> Verdict:
    return Verdict(question_id, stage, name, False, Reason.NOT_ASKED, "", (), params)


def _over_corpus(
    setting: Setting, ledger: Ledger, rule: CorpusRule, todo: pl.DataFrame, corrected: Corrections
) -> None:
    """Append the verdicts of a filter that judges a frame."""
    if todo.is_empty():
        return
    params = rule.digest(setting.recipe)
    blank = todo.filter(~pl.col("asked")).select("question_id", "stage").iter_rows()
    judged = rule.verdicts(setting, corrected.questions(_corpus(ledger, rule, todo)))
    verdicts = chain(
        (_not_asked(rule.name, params, *row) for row in blank), (_finished(v, rule, params) for v in judged)
    )
    for part in windows(verdicts, BATCH):
        ledger.append(part)


def _corpus(ledger: Ledger, rule: CorpusRule, todo: pl.DataFrame) -> pl.LazyFrame:
    """The frame that the filter judges."""
    scope = ledger.run.questions.scan().filter(pl.col("stage").is_in(list(rule.stages)))
    scope = scope.join(ledger.dropped(rule.phase - 1), on="question_id", how="anti", maintain_order="left")
    if not rule.compares:
        scope = scope.join(todo.lazy(), on="question_id", how="semi", maintain_order="left")
    gone = ledger.dropped(rule.phase, but=rule.name).select("question_id", alive=pl.lit(False))
    scope = scope.join(gone, on="question_id", how="left", maintain_order="left")
    return scope.with_columns(pl.col("alive").fill_null(True))
