"""The wrong replies of a model to benchmarks, and a random sample of them.

Only what was graded wrong is a case. A reply without an answer says nothing of what was seen and is counted beside;
one that failed is unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from capcurriculum.rows import SCHEMA, Outcome, digest
from evaluation.results.labels import Benchmark
from evaluation.results.samples import Sample


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong reply; `key` is a hash of all that a judge is shown of it, and of where it stands."""

    key: str
    sample: Sample

    @property
    def benchmark(self) -> str:
        """Its benchmark."""
        return self.sample.benchmark

    @property
    def cluster(self) -> str:
        """What it shares with other cases: the picture, so that mistakes about one are not taken for independent."""
        images = self.sample.images
        return " ".join(images) if images else self.key


@dataclass(frozen=True, slots=True)
class Wrong:
    """What a model got wrong on one benchmark, and how much else there is."""

    cases: tuple[Case, ...]
    asked: int
    unparsed: int
    unknown: int


def case(sample: Sample) -> Case:
    """A reply as a case."""
    told = (sample.question, sample.options, sample.gold, sample.prediction, sample.answer, sample.images)
    return Case(digest(SCHEMA, "error case", sample.benchmark, sample.sample, *told), sample)


def wrong(replies: Mapping[Benchmark, Mapping[str, Sample]]) -> dict[str, Wrong]:
    """Benchmark -> its wrong replies, of benchmarks that have any replies; one of two suites counts once."""
    found: dict[str, Wrong] = {}
    for (_, benchmark), own in replies.items():
        outcomes = [one.outcome for one in own.values()]
        cases = tuple(case(one) for _, one in sorted(own.items()) if one.outcome == Outcome.WRONG)
        counts = (outcomes.count(Outcome.UNPARSED), outcomes.count(Outcome.FAILED))
        if outcomes and benchmark not in found:
            found[benchmark] = Wrong(cases, len(outcomes), *counts)
    return found


def drawn(cases: Iterable[Case], size: int | None, seed: int, purpose: str) -> list[Case]:
    """`size` of the cases (None: all), each as likely as any other; a larger size holds the smaller sample."""
    ordered: Sequence[Case] = sorted(cases, key=lambda one: digest(SCHEMA, purpose, seed, one.key))
    return list(ordered[:size])
