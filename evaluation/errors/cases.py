"""The wrong replies of a model to benchmarks, and random samples of them.

Only replies graded wrong are cases. Replies without a readable answer are counted apart, and failed ones are unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capcurriculum.rows import SCHEMA, Outcome, digest
from evaluation.results.labels import Benchmark
from evaluation.results.samples import Sample


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong reply; `key` is a digest of all that a judge sees of it, the benchmark, and the sample id."""

    key: str
    sample: Sample

    @property
    def benchmark(self) -> str:
        """The name of its benchmark."""
        return self.sample.benchmark

    @property
    def cluster(self) -> str:
        """Its images, since errors on one image are not independent; its key where it has none."""
        images = self.sample.images
        return " ".join(images) if images else self.key


@dataclass(frozen=True, slots=True)
class Wrong:
    """The wrong replies of a model to one benchmark, with the number of replies asked for, unparsed and failed."""

    cases: tuple[Case, ...]
    asked: int
    unparsed: int
    unknown: int


def case(sample: Sample) -> Case:
    """A reply as a case."""
    shown = (sample.question, sample.options, sample.gold, sample.prediction, sample.answer, sample.images)
    return Case(digest(SCHEMA, "error case", sample.benchmark, sample.sample, *shown), sample)


def wrong(replies: Mapping[Benchmark, Mapping[str, Sample]]) -> dict[str, Wrong]:
    """Benchmark -> its wrong replies, for benchmarks with any reply; the first suite's if two have it."""
    found: dict[str, Wrong] = {}
    for (_, benchmark), own in replies.items():
        outcomes = [one.outcome for one in own.values()]
        cases = tuple(case(one) for _, one in sorted(own.items()) if one.outcome == Outcome.WRONG)
        counts = (outcomes.count(Outcome.UNPARSED), outcomes.count(Outcome.FAILED))
        if outcomes and benchmark not in found:
            found[benchmark] = Wrong(cases, len(outcomes), *counts)
    return found


def drawn(cases: Iterable[Case], size: int | None, seed: int, purpose: str) -> list[Case]:
    """A uniform sample of `size` cases (None: all); a larger sample contains the smaller one."""
    return sorted(cases, key=lambda one: digest(SCHEMA, purpose, seed, one.key))[:size]
