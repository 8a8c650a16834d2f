"""Published numbers with how each was obtained, shown beside measured ones."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml

from capcurriculum.recipe.base import Section


class Model(Section):
    """A model of the paper: `base` trained in a `setting`, or another model of its size. Scores are in percent.

    `averages` are over groups of benchmarks (`Paper.suites`) and stated in the paper. Scores of single benchmarks are
    stated, read off a figure (to about 0.3), or derived from averages.
    """

    base: str
    setting: str
    averages: Mapping[str, float] = {}
    stated: Mapping[str, float] = {}
    figure: Mapping[str, float] = {}
    derived: Mapping[str, float] = {}

    @property
    def benchmarks(self) -> Mapping[str, tuple[float, str]]:
        """Benchmark -> its score and how it was obtained."""
        kinds = (("derived", self.derived), ("figure", self.figure), ("stated", self.stated))
        return {name: (score, how) for how, scores in kinds for name, score in scores.items()}


class ReplyTokens(Section):
    """Mean length of a reply on validation rows, in tokens, read off a figure."""

    base: str
    merged: int
    staged: int


class PerceptionErrors(Section):
    """The share of wrong answers that a judge classified as perception errors, and its agreement with people."""

    base: str
    share_of_wrong_answers: float
    agreement_with_people: float
    people_checked: int


class Paper(Section):
    """The paper. `suites` maps a suite to its groups of benchmarks, by their names in VLMEvalKit."""

    paper: str
    url: str
    judge: str
    suites: Mapping[str, Mapping[str, tuple[str, ...]]]
    models: tuple[Model, ...]
    reply_tokens: ReplyTokens
    perception_errors: PerceptionErrors

    def of(self, base: str) -> tuple[Model, ...]:
        """The models that were trained from `base` or compared with those."""
        return tuple(model for model in self.models if model.base == base)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Group -> its benchmarks, over all suites."""
        return {group: names for groups in self.suites.values() for group, names in groups.items()}

    @property
    def averaged(self) -> Mapping[str, tuple[str, ...]]:
        """The groups, and `overall` for all benchmarks of the main suite."""
        return {**self.groups, "overall": tuple(name for names in self.suites["main"].values() for name in names)}

    def averages(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Group -> mean of the scores (by benchmark), for complete groups."""
        found = ((group, names) for group, names in self.averaged.items() if scores.keys() >= set(names))
        return {group: sum(scores[name] for name in names) / len(names) for group, names in found}


@cache
def paper() -> Paper:
    """The published numbers of *From Seeing to Thinking* (arXiv 2605.20177)."""
    return Paper.model_validate(yaml.safe_load((files(__package__) / "paper.yaml").read_text(encoding="utf-8")))
