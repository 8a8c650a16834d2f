"""How each filter of a recipe judges: from its section and its surroundings to a function of question and evidence.

Most filters judge one question by the replies to it. Those of `CORPUS` compare questions with each other, or ask a
whole table at once, and see a frame instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from capcurriculum.recipe import Recipe
from capcurriculum.recipe.corpus_filters import ContaminationSection, DuplicatesSection
from capcurriculum.recipe.filter_section import FilterSection
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.run import Run
from filters.corpus import contamination, image_hashes
from filters.corpus.duplicates import filter
from filters.rules import (
    agreed_other,
    asks_for_proof,
    auditor,
    blind,
    consistent,
    difficulty,
    leak,
    needs_image,
    perception,
    readable,
    rollouts,
    swapped,
    wellformed,
)
from filters.rules.panel import Panel


@dataclass(frozen=True, slots=True)
class Setting:
    """What filters may know beside the question; `folders` are what image paths of a stage are relative to."""

    run: Run
    recipe: Recipe
    folders: Mapping[str, Path]

    def panel(self, question: Question) -> Panel:
        """Whom the probe of the question's stage asks."""
        return Panel.of(self.recipe.captioned[question.stage].probe)


Judge = Callable[[Question, Sequence[Answer]], Verdict]
#: A section of one's own type and the setting -> how to judge.
Maker = Callable[[Any, Setting], Judge]


def _by_question(judge: Callable[[Question], Verdict]) -> Judge:
    return lambda question, _: judge(question)


MAKERS: Mapping[str, Maker] = {
    readable.FILTER: lambda section, at: _by_question(readable.judging(at.folders, section)),
    wellformed.FILTER: lambda section, at: lambda q, _: wellformed.judge(q, section),
    needs_image.FILTER: lambda section, at: lambda q, _: needs_image.judge(q, section),
    asks_for_proof.FILTER: lambda section, at: _by_question(asks_for_proof.judge),
    leak.FILTER: lambda section, at: lambda q, _: leak.judge(q, section),
    perception.FILTER: lambda section, at: lambda q, replies: perception.judge(q, replies, at.panel(q), section),
    blind.FILTER: lambda section, at: lambda q, replies: blind.judge(q, replies, at.panel(q), section),
    swapped.FILTER: lambda section, at: lambda q, replies: swapped.judge(q, replies, at.panel(q), section),
    consistent.FILTER: lambda section, at: lambda q, replies: consistent.judge(q, replies, at.panel(q), section),
    agreed_other.FILTER: lambda section, at: lambda q, replies: agreed_other.judge(q, replies, at.panel(q), section),
    auditor.FILTER: lambda section, at: lambda q, replies: auditor.judge(q, replies, section),
    rollouts.FILTER: lambda section, at: lambda q, replies: rollouts.judge(q, replies, at.recipe.rollouts),
    difficulty.FILTER: lambda section, at: lambda q, replies: difficulty.judge(q, replies, at.recipe.rollouts, section),
}


#: Filters that read files, and are asked about several questions at a time.
READING = frozenset({readable.FILTER})
#: Filters that read the replies' own words, which are not loaded for the others.
WORDS_READ: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CorpusFilter:
    """A filter that judges a frame of questions.

    `verdicts` gets them with the columns of `Question` and `alive`, which is false where another filter of this phase
    drops the question already; it gives one verdict for every row, in any order. Where its section says that it
    `compares`, it sees all questions again as soon as one is new, and else the new ones.
    """

    verdicts: Callable[[Any, Setting, pl.LazyFrame], Iterable[Verdict]]


def _duplicates(section: DuplicatesSection, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
    hashes = None if section.image_distance is None else image_hashes.fill(at.run, at.folders, questions)
    return filter.verdicts(filter.scored(questions, at.run.answers.scan()), section, hashes)


def _contamination(section: ContaminationSection, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
    hashes = None if section.image_distance is None else image_hashes.fill(at.run, at.folders, questions)
    return contamination.verdicts(questions, section, hashes)


CORPUS: Mapping[str, CorpusFilter] = {
    filter.FILTER: CorpusFilter(_duplicates),
    contamination.FILTER: CorpusFilter(_contamination),
}


def judge_of(section: FilterSection, setting: Setting) -> Judge:
    """How a filter of `MAKERS` judges under these parameters."""
    return MAKERS[section.name](section, setting)
