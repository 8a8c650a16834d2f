"""The sets of filters whose wrong labels are counted, each as what it keeps of the questions of one build."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from random import Random

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import noise_audit, noise_seeing
from benchmarks.noise_audit import CAPTION_ORDERS
from benchmarks.noise_rules import AGREE, Kind, Rule, rules
from benchmarks.noise_world import Setup
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Purpose, Question
from capcurriculum.run import Run
from filters.rules.agreed_other import AgreedOtherSection
from filters.rules.auditor import AuditorSection
from filters.rules.blind import BlindSection
from filters.rules.consistent import ConsistentSection
from filters.rules.panel import Panel
from filters.rules.perception import PerceptionFilterSection
from filters.rules.swapped import SwappedSection

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Votes = Mapping[str, Sequence[Answer]]
_SAMPLE = 7
Judge = Callable[[Question, Sequence[Answer]], bool]
#: Of the sets that ask nobody but the solvers, those of which "all that answer" is made.
IN_ALL = ("paper + consistent (caption)", "paper + blind, swapped")


@dataclass(frozen=True, slots=True)
class FilterSet:
    """Which questions a set keeps (of all, in the run's order), and its requests for 1,000 captions."""

    name: str
    kind: Kind
    kept: Flags
    requests: float


@dataclass(frozen=True)
class Build:
    """A finished build of a set-up, and those of its questions whose truth is known."""

    setup: Setup
    run: Run
    recipe: Recipe
    asked: Sequence[Question]
    true: Flags

    @cached_property
    def paper(self) -> Flags:
        """What the paper's rule keeps."""
        panel, rule = Panel(self.setup.solvers), PerceptionFilterSection()
        return self.keeps(self.probed, lambda q, a: rule.judge(q, a, panel).keep)

    @cached_property
    def probed(self) -> Mapping[str, Sequence[Answer]]:
        """Question id -> the solvers' replies."""
        found: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in self.run.answers.rows(pl.col("purpose") == str(Purpose.PROBE)):
            found[answer.question_id].append(answer)
        return found

    @cached_property
    def counted(self) -> Numbers:
        """For how many rows each counts: of those that the paper's rule keeps some stand for others."""
        good = np.flatnonzero(self.paper & self.true)
        few = len(good) if self.setup.good is None else min(self.setup.good, len(good))
        counted = np.ones(len(self.asked))
        counted[good] = 0
        counted[Random(_SAMPLE).sample(list(good), few)] = len(good) / max(few, 1)
        return counted

    @cached_property
    def reached(self) -> Sequence[Question]:
        """What auditors are asked about."""
        about = self.paper & (self.counted > 0)
        return [question for question, wanted in zip(self.asked, about, strict=True) if wanted]

    def keeps(self, replies: Mapping[str, Sequence[Answer]], judge: Judge) -> Flags:
        """What a rule keeps that sees these replies."""
        return np.array([judge(q, replies.get(q.question_id, ())) for q in self.asked])

    def set(
        self, name: str, kind: Kind, kept: Flags, arms: int = 2, votes: int = 0, audited: Flags | None = None
    ) -> FilterSet:
        """A set that reads so many arms and orders of the probe, and so many replies of each auditor on `audited`."""
        share = (self.paper if audited is None else audited).mean()
        each = 1 + len(self.setup.solvers) * arms + votes * len(self.setup.auditors) * share
        return FilterSet(name, kind, self.paper & kept, 1000 * float(each))


def sets(build: Build) -> Iterator[FilterSet]:
    """Every set that the set-up measures, the paper's rule first."""
    every = np.ones(len(build.asked), bool)
    yield build.set("paper", Kind.PROBE, every)
    for name, kept, arms in _probe_alone(build) if build.setup.alone else ():
        yield build.set(name, Kind.PROBE, kept, arms)
        if name in IN_ALL:
            every &= kept
    auditors = Auditors(build)
    for rule in rules(build.setup):
        yield build.set(str(rule), rule.kind, auditors.keep(rule), votes=auditors.requests(rule))
    if build.setup.alone:
        answering = Rule(answer=AGREE)
        arms = 8 if "blind" in build.setup.arms else 3
        kept, votes = every & auditors.keep(answering), auditors.requests(answering)
        yield build.set("all that answer", Kind.PROBE, kept, arms, votes, build.paper & every)


class Auditors:
    """What the auditors of a build say, asked for where the run does not hold it, and what rules make of it."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self._votes: dict[str, Votes] = {}

    def keep(self, rule: Rule) -> Flags:
        """What a rule keeps: each of its parts is a filter, and a row must pass all of them."""
        kept = np.ones(len(self.build.asked), bool)
        if rule.zeros is not None:
            kept &= np.array([self.zeros.get(q.question_id, 0) <= rule.zeros for q in self.build.asked])
        for section, votes in self._filters(rule):
            kept &= self.build.keeps(votes, partial(_kept, section))
        return kept

    @cached_property
    def zeros(self) -> Mapping[str, int]:
        """Question id -> how many counts of the colour are zero, or of the shape, that it names, whichever is more."""
        build = self.build
        counted = noise_seeing.counted(build.run, build.recipe, build.setup, build.reached)
        return {key: max(said.count("0") for said in words.values()) for key, words in counted.items()}

    def requests(self, rule: Rule) -> int:
        """How many replies of each auditor a rule reads of a question; none of perfect sight, and counts left out."""
        described = (rule.each or self.build.setup.descriptions) * (1 if rule.judged else 1 + rule.orders)
        answered = 0 if rule.answer is None else self.build.setup.votes
        return described * (rule.describe is not None and not rule.seen) + answered + CAPTION_ORDERS * rule.captions

    def _filters(self, rule: Rule) -> Iterator[tuple[AuditorSection, Votes]]:
        build, setup = self.build, self.build.setup
        run, recipe, asked = build.run, build.recipe, build.reached
        if rule.captions:
            yield self._asked(noise_audit.checking(setup))
        if rule.answer is not None:
            yield self._asked(noise_audit.answering(setup, rule.answer))
        if rule.describe is None:
            return
        if rule.seen:
            read = partial(noise_seeing.read, run, recipe, setup, asked)
            judged = partial(noise_seeing.judged, run, asked)
            name = f"scenes, {rule.judged}"
            yield noise_seeing.one_vote(setup), self._once(name, judged if rule.judged else read)
            return
        few = replace(setup, descriptions=rule.each or setup.descriptions)
        section = noise_audit.describing(few, *rule.describe, passed=rule.passed, orders=rule.orders)
        if rule.judged:
            name = f"judged, {few.descriptions}"
            yield section, self._once(name, partial(noise_audit.judged, run, recipe, section, asked))
        else:
            yield self._asked(section)

    def _asked(self, section: AuditorSection) -> tuple[AuditorSection, Votes]:
        build = self.build
        name = f"{section.name}, {section.votes}, {section.reader and section.reader.orders}"
        return section, self._once(name, partial(noise_audit.heard, build.run, build.recipe, section, build.reached))

    def _once(self, name: str, votes: Callable[[], Votes]) -> Votes:
        if name not in self._votes:
            self._votes[name] = votes()
        return self._votes[name]


def _kept(section: AuditorSection, question: Question, votes: Sequence[Answer]) -> bool:
    return section.judge(question, votes).keep


def _probe_alone(build: Build) -> Iterator[tuple[str, Flags, int]]:
    """Sets that ask nobody but the solvers, and how many arms and orders of the options they read."""
    both = Panel(build.setup.solvers, (0, 1))
    keeps = partial(build.keeps, build.probed)
    yield "paper, both orders", keeps(lambda q, a: PerceptionFilterSection().judge(q, a, both).keep), 4
    steady = ConsistentSection(arms=("caption",))
    yield "paper + consistent (caption)", keeps(lambda q, a: steady.judge(q, a, both).keep), 3
    firm = keeps(lambda q, a: ConsistentSection().judge(q, a, both).keep)
    yield "paper + consistent (image, caption)", firm, 4
    yield "paper + agreed_other", keeps(lambda q, a: AgreedOtherSection().judge(q, a, both).keep), 3
    if "blind" in build.setup.arms:
        others = keeps(lambda q, a: BlindSection().judge(q, a, both).keep)
        others &= keeps(lambda q, a: SwappedSection().judge(q, a, both).keep)
        yield "paper + blind, swapped", others, 7
