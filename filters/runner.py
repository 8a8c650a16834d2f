"""Run the filters of one phase over the questions they have still to judge, and append what they say to the ledger.

A filter sees one question and the replies to it, and nothing else, so its verdict depends neither on the order of the
rows nor on other rows. Evidence is read for a batch of questions at a time, once for all filters of the phase.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import polars as pl

from capcurriculum.ledger.corrections import Corrections, corrections
from capcurriculum.ledger.verdicts import dropped
from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.rows import Answer, Question, Verdict
from datagen.batched import windows
from filters import evidence
from filters.missing import missing
from filters.registry import CORPUS, READING, WORDS_READ, Judge, Setting, judge_of

#: Questions whose evidence is in memory at once, about 200 MB of it at 16 replies each.
BATCH = 16_384


@dataclass(frozen=True, slots=True)
class _Rule:
    """One filter of the recipe, ready to judge; `todo` is what `missing` says."""

    section: FilterSection
    params: str
    judge: Judge
    todo: pl.DataFrame
    reading: Mapping[str, Collection[object]]

    def reads(self, reply: Answer) -> bool:
        """Whether the filter looks at this reply; the same rows as `evidence.read_by`."""
        return all(getattr(reply, column) in values for column, values in self.reading.items())


def judge_phase(setting: Setting, phase: Phase, within: pl.LazyFrame | None = None) -> int:
    """Append the verdicts that the filters of a phase owe; returns how many.

    Filters that compare all questions are left out where `within` names a part of them.
    """
    sections = [section for section in setting.recipe.filters if section.phase is phase]
    rules = [_rule(setting, section, within) for section in sections if section.name not in CORPUS]
    corrected = corrections(setting.run, setting.recipe)
    count = sum(setting.run.verdicts.append(_judged(setting, rules, batch, corrected)) for batch in _batches(rules))
    for section in sections:
        if section.name in CORPUS and (within is None or not section.compares):
            count += _over_corpus(setting, section, within, corrected)
    return count


def _rule(setting: Setting, section: FilterSection, within: pl.LazyFrame | None) -> _Rule:
    todo = missing(setting.run, setting.recipe, section, within)
    recipe = setting.recipe
    return _Rule(section, section.digest(recipe), judge_of(section, setting), todo, section.reads(recipe))


def _batches(rules: Sequence[_Rule]) -> Iterator[pl.DataFrame]:
    """`question_id` and the lists `rule` and `asked`: which rules owe a verdict, and which of them have evidence.

    In the order of the ids, as `evidence` likes it.
    """
    if rules:
        owed = pl.concat([rule.todo.with_columns(rule=pl.lit(number)) for number, rule in enumerate(rules)])
        yield from owed.group_by("question_id", "stage").agg("rule", "asked").sort("question_id").iter_slices(BATCH)


def _judged(setting: Setting, rules: Sequence[_Rule], batch: pl.DataFrame, corrected: Corrections) -> Iterator[Verdict]:
    asked = batch.filter(pl.col("asked").list.any()).select("question_id")
    phase = rules[0].section.phase
    text = any(rule.section.name in WORDS_READ for rule in rules)
    found = {question.question_id: question for question in evidence.questions(setting.run, asked, corrected)}
    replies = evidence.replies(setting.run, asked, phase, text, corrected)
    for number, rule in enumerate(rules):
        owed = batch.explode("rule", "asked").filter(pl.col("rule") == number)
        for question_id, stage in owed.filter(~pl.col("asked")).select("question_id", "stage").iter_rows():
            yield _not_asked(rule.section.name, rule.params, question_id, stage)
        questions = [found[i] for i in owed.filter(pl.col("asked"))["question_id"]]
        for verdict in _each(rule, questions, replies):
            yield _finished(verdict, rule.section, rule.params)


def _each(rule: _Rule, questions: Iterable[Question], replies: Mapping[str, Sequence[Answer]]) -> Iterator[Verdict]:
    def judge(question: Question) -> Verdict:
        return rule.judge(question, [r for r in replies.get(question.question_id, ()) if rule.reads(r)])

    if rule.section.name not in READING:
        yield from map(judge, questions)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(judge, questions)


def _finished(verdict: Verdict, section: FilterSection, params: str) -> Verdict:
    """The verdict as the ledger takes it: with the action carried out and the parameters it was made under."""
    return replace(verdict, keep=verdict.keep or section.action == "label", params=params)


def _not_asked(name: str, params: str, question_id: str, stage: str) -> Verdict:
    return Verdict(question_id, stage, name, False, Reason.NOT_ASKED, "", (), params)


def _over_corpus(setting: Setting, section: FilterSection, within: pl.LazyFrame | None, corrected: Corrections) -> int:
    """Append the verdicts of a filter that sees a frame of questions."""
    params = section.digest(setting.recipe)
    todo = missing(setting.run, setting.recipe, section, within)
    if todo.is_empty():
        return 0
    blank = todo.filter(~pl.col("asked")).select("question_id", "stage").iter_rows()
    judged = CORPUS[section.name].verdicts(section, setting, corrected.questions(_corpus(setting, section, todo)))
    verdicts = chain(
        (_not_asked(section.name, params, *row) for row in blank), (_finished(v, section, params) for v in judged)
    )
    return sum(setting.run.verdicts.append(part) for part in windows(verdicts, BATCH))


def _corpus(setting: Setting, section: FilterSection, todo: pl.DataFrame) -> pl.LazyFrame:
    """The questions that such a filter sees, with `alive`."""
    run, recipe = setting.run, setting.recipe
    scope = run.questions.scan().filter(pl.col("stage").is_in(list(section.stages)))
    out = dropped(run, recipe, section.phase - 1)
    scope = scope.join(out, on="question_id", how="anti", maintain_order="left")
    if not section.compares:
        scope = scope.join(todo.lazy(), on="question_id", how="semi", maintain_order="left")
    gone = dropped(run, recipe, section.phase, but=section.name).select("question_id", alive=pl.lit(False))
    scope = scope.join(gone, on="question_id", how="left", maintain_order="left")
    return scope.with_columns(pl.col("alive").fill_null(True))
