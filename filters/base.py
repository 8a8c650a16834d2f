"""Base classes of filters: one class is both a filter's section of the recipe and its rule.

To add a filter, write a subclass of `Rule` (one question and its replies) or `CorpusRule` (questions compared with each
other) and register it in `capcurriculum.recipe.filters`.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import polars as pl

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.rows import Answer, Question, Verdict
from datagen.setting import Setting

#: Maps a question and the replies that the filter reads to a verdict.
Judge = Callable[[Question, Sequence[Answer]], Verdict]


class Rule(FilterSection):
    """A filter that judges one question at a time: a pure function of the question and the replies to it."""

    #: Whether it reads files; questions are then judged in threads.
    reads_files: ClassVar[bool] = False
    #: Whether it reads the text of replies; it is not loaded otherwise.
    reads_text: ClassVar[bool] = False

    @abstractmethod
    def judging(self, at: Setting) -> Judge:
        """The function that judges a question in the setting `at`."""

    def verdict(
        self, question: Question, keep: bool, reason: Reason, detail: str = "", answers: Sequence[Answer] = ()
    ) -> Verdict:
        """A verdict of this filter; its evidence does not depend on the order of `answers`."""
        evidence = tuple(sorted(a.request_key for a in answers))
        return Verdict(question.question_id, question.stage, self.name, keep, reason, detail, evidence)


class TextRule(Rule):
    """A filter that judges the question alone, before any request."""

    phase: ClassVar[Phase] = Phase.QUESTION

    @abstractmethod
    def judge(self, question: Question) -> Verdict:
        """The verdict on one question."""

    def judging(self, at: Setting) -> Judge:
        """`judge`, in any setting."""
        del at
        return lambda question, _: self.judge(question)


class CorpusRule(FilterSection):
    """A filter that judges a frame of questions.

    With `compares` it gets all questions whenever one is new, otherwise the new ones alone.
    """

    @abstractmethod
    def verdicts(self, at: Setting, questions: pl.LazyFrame) -> Iterable[Verdict]:
        """One verdict for each row, in any order.

        Args:
            at: the run and its folders.
            questions: the columns of `Question`, and `alive`, false if another filter of this phase drops the question.
        """
