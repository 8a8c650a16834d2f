"""Limitations of a set, as sentences derived from its recipe, sources and numbers.

Checks that were not made (benchmarks, duplicates, wrong labels) are named.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from capcurriculum.recipe import Recipe
from capcurriculum.render.markdown import Md, code, listed
from cards.citations import Origin
from cards.dataset.provenance import Role
from cards.dataset.rows import Keys, PassRates
from cards.estimates import Estimate
from cards.licences import UNKNOWN, Licence

#: The p-value below which answer letters are called uneven.
SURE = 0.01
_MEASURING = ("val", "validation", "test", "testmini", "dev", "qual_dev", "qual_test")


@dataclass(frozen=True, slots=True)
class Facts:
    """The inputs of the sentences; `captioned` maps stages with a teacher to their sections of the recipe."""

    recipe: Recipe
    stages: tuple[str, ...]
    captioned: Mapping[str, Any]
    roles: Sequence[Role]
    origins: Sequence[Origin]
    licences: Sequence[Licence]
    keys: Sequence[Keys]
    pass_rates: Sequence[PassRates]
    estimates: Sequence[Estimate]


def limits(facts: Facts) -> list[Md]:
    """The sentences, most important first."""
    makers = (_labels, _teacher, _families, _keys, _difficulty, _sources, _screening)
    return [sentence for maker in makers for sentence in maker(facts)]


def _labels(facts: Facts) -> Iterator[Md]:
    rules = [one for one in facts.recipe.filters if one.name == "perception"]
    ruled = [stage for stage in facts.captioned if any(stage in rule.stages for rule in rules)]
    if ruled:
        yield Md(
            f"Rows of {_names(ruled)} are those that solvers answered wrongly from the image and correctly from the "
            "caption. Wrong gold answers, and captions that describe what is not visible, pass this rule too."
        )
    given = [stage for stage in facts.stages if stage not in facts.captioned]
    if not any(one.rates for one in facts.estimates):
        yield Md("The share of wrong gold answers was not estimated and is unknown.")
    elif given:
        yield Md(f"The estimate of wrong labels does not cover {_names(given)}.")
    if given:
        yield Md(
            f"Gold answers of {_names(given)} are those of the sources; only that the grader can read them was checked."
        )


def _teacher(facts: Facts) -> Iterator[Md]:
    blind = [stage for stage, section in facts.captioned.items() if section.teacher.sees == "caption"]
    if blind:
        yield Md(f"The teacher of {_names(blind)} saw captions and no images, so it repeats their errors.")
    if facts.captioned:
        solvers = listed(code(role.model) for role in facts.roles if role.role.startswith("solver"))
        yield Md(f"Hard to see means hard for {solvers}; other models may find it easy.")


def _families(facts: Facts) -> Iterator[Md]:
    """Whether all models share the letters at the beginning of their name, as in `Qwen/Qwen2.5-VL-7B-Instruct`."""
    if facts.captioned:
        first = {re.match(r"[a-z]*", role.model.rpartition("/")[2].rpartition(":")[2].lower()) for role in facts.roles}
        names = {match.group() for match in first if match}
        if len(names) == 1 and (name := names.pop()):
            yield Md(
                f"All models that wrote or judged these rows are called {code(name)}; if they are of one family, its "
                "blind spots affect the questions and what counts as hard."
            )


def _keys(facts: Facts) -> Iterator[Md]:
    for one in facts.keys:
        if one.p is not None and one.p < SURE:
            yield Md(
                f"The answers of {code(one.stage)} favour some letters more than chance explains (p = {one.p:.2g}), "
                "which rewards guessing."
            )


def _difficulty(facts: Facts) -> Iterator[Md]:
    if facts.pass_rates:
        rollouts = facts.recipe.rollouts
        model = facts.recipe.models.get(rollouts.model)
        widest = max(facts.pass_rates, key=lambda one: one.width)
        yield Md(
            f"Pass rates are those of {code(model.model if model else rollouts.model)} over {rollouts.k} rollouts each "
            "and differ for other models, prompts or sampling. They are imprecise: the 95 % intervals are "
            f"{widest.width:.2f} wide on average ({code(widest.stage)})."
        )
    if partial := sum(one.partial for one in facts.pass_rates):
        yield Md(
            f"For {partial:,} rows rollouts were stopped early (`pass_full` is false), depending on their results, so "
            "their pass rates are biased."
        )
    yield Md(f"This is one build with one seed ({facts.recipe.seed}); the variance between seeds was not measured.")


def _sources(facts: Facts) -> Iterator[Md]:
    declared = {one.declared.source: one.declared for one in facts.origins if one.declared}
    for name, one in declared.items():
        if held := [split for split in one.splits if split in _MEASURING]:
            yield Md(f"{code(name)} has rows of splits that are used for evaluation: {listed(map(code, held))}.")
    kinds = {one.kind for one in declared.values()}
    if "docci" in kinds:
        yield Md("DOCCI consists of photographs; its rows do not train reading charts, diagrams or documents.")
    if "scenes" in kinds:
        yield Md(
            "Images and texts of the embedded world are generated from a few shapes and words. They test the pipeline; "
            "nothing follows from them for photographs."
        )
    if unknown := sum(one.rows for one in facts.licences if one.hub == UNKNOWN):
        yield Md(f"The licence of {unknown:,} rows is unknown.")


def _screening(facts: Facts) -> Iterator[Md]:
    filters = {one.name: one for one in facts.recipe.filters}
    if "contamination" in filters:
        names = [PurePath(path).name for path in getattr(filters["contamination"], "signatures", ())]
        yield Md(f"Rows were compared with the signatures of these benchmarks only: {listed(map(code, names))}.")
    else:
        yield Md("Rows were not compared with any benchmark, so benchmarks may contain some of them.")
    if "duplicates" not in filters:
        yield Md("Near-duplicates were not searched for.")
    yield Md("Images and texts were not screened for personal or offensive content.")


def _names(stages: Iterable[str]) -> Md:
    return listed(map(code, stages))
