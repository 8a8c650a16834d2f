"""What a set cannot be used for, or may get wrong: sentences that its own recipe, sources and numbers make true.

None is said of every set by habit. What was not looked for (benchmarks, duplicates, wrong labels) is said to be so.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from capcurriculum.recipe import Recipe
from capcurriculum.render.markdown import Md, code, listed, percent
from cards.citations import Origin
from cards.dataset.road import Role
from cards.dataset.rows import Keys, PassRates
from cards.estimates import Estimate
from cards.licences import UNKNOWN, Licence

#: Below this share of luck an answer key is called uneven.
SURE = 0.01
_MEASURING = ("val", "validation", "test", "testmini", "dev", "qual_dev", "qual_test")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentences are made from; `captioned` are sections of the stages whose questions a teacher wrote."""

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
    """The sentences, what matters most first."""
    makers = (_labels, _teacher, _families, _keys, _difficulty, _sources, _compared, _unscreened)
    return [sentence for maker in makers for sentence in maker(facts)]


def _labels(facts: Facts) -> Iterator[Md]:
    rules = [one for one in facts.recipe.filters if one.name == "perception"]
    ruled = [stage for stage in facts.captioned if any(stage in rule.stages for rule in rules)]
    if ruled:
        yield Md(
            f"Rows of {_names(ruled)} are those that solvers answered wrongly from the image and rightly from the "
            "caption. A marked answer that is wrong, or a caption that says what cannot be seen, passes this rule too."
        )
    if not any(one.rates for one in facts.estimates):
        yield Md("Nobody has estimated how many marked answers are wrong: that share is unknown.")
    elif given := [stage for stage in facts.stages if stage not in facts.captioned]:
        yield Md(f"The estimate of wrong labels does not cover {_names(given)}.")
    if given := [stage for stage in facts.stages if stage not in facts.captioned]:
        yield Md(
            f"Answers of {_names(given)} are those of the sources; we checked that our grader can read them, no more."
        )


def _teacher(facts: Facts) -> Iterator[Md]:
    blind = [stage for stage, section in facts.captioned.items() if section.teacher.sees == "caption"]
    if blind:
        yield Md(f"The teacher of {_names(blind)} saw captions and no pictures, so it repeats what captions get wrong.")
    if facts.captioned:
        solvers = listed(code(role.model) for role in facts.roles if role.role.startswith("solver"))
        yield Md(f"What is hard to see is what was hard to see for {solvers}; for other models it may be easy.")


def _families(facts: Facts) -> Iterator[Md]:
    """Whether all models bear one name up to its first digit or sign, as `Qwen` in `Qwen/Qwen2.5-VL-7B-Instruct`."""
    if facts.captioned:
        first = {re.match(r"[a-z]*", role.model.rpartition("/")[2].rpartition(":")[2].lower()) for role in facts.roles}
        names = {match.group() for match in first if match}
        if len(names) == 1 and (name := names.pop()):
            yield Md(
                f"All models that made or judged these rows are called {code(name)}; if they are one family, its blind "
                "spots are in the questions and in what counts as hard."
            )


def _keys(facts: Facts) -> Iterator[Md]:
    for one in facts.keys:
        if one.p is not None and one.p < SURE:
            yield Md(
                f"The answers of {code(one.stage)} favour some letters more than chance explains (p = {one.p:.2g}), so "
                "a model can gain by guessing."
            )


def _difficulty(facts: Facts) -> Iterator[Md]:
    if facts.pass_rates:
        rollouts = facts.recipe.rollouts
        model = facts.recipe.models.get(rollouts.model)
        widest = max(facts.pass_rates, key=lambda one: one.width)
        yield Md(
            f"Pass rates are those of {code(model.model if model else rollouts.model)} over {rollouts.k} replies each; "
            "another model, prompt or sampling has others. With so few replies they are rough: the 95 % intervals are "
            f"{widest.width:.2f} wide on average ({code(widest.stage)})."
        )
    if partial := sum(one.partial for one in facts.pass_rates):
        yield Md(
            f"For {partial:,} rows replies were stopped early (`pass_full` is false). Which are missing depended on "
            "those before, so their pass rates are no unbiased estimates."
        )
    yield Md(f"This is one build with one seed ({facts.recipe.seed}); how much another would differ was not measured.")


def _sources(facts: Facts) -> Iterator[Md]:
    declared = {one.declared.source: one.declared for one in facts.origins if one.declared}
    for name, one in declared.items():
        if held := [split for split in one.splits if split in _MEASURING]:
            yield Md(f"{code(name)} gave rows of splits that others measure on: {listed(map(code, held))}.")
    kinds = {one.kind for one in declared.values()}
    if "docci" in kinds:
        yield Md("DOCCI holds photographs; reading charts, diagrams or documents is not trained by its rows.")
    if "scenes" in kinds:
        yield Md(
            "Pictures and texts of the embedded world are made by a program, of a few shapes and words. They show that "
            "the road works; nothing follows from them for photographs."
        )
    if unknown := sum(one.rows for one in facts.licences if one.hub == UNKNOWN):
        yield Md(f"The licence of {unknown:,} rows is unknown.")


def _compared(facts: Facts) -> Iterator[Md]:
    filters = {one.name: one for one in facts.recipe.filters}
    if "contamination" in filters:
        names = [PurePath(path).name for path in getattr(filters["contamination"], "signatures", ())]
        yield Md(
            f"Rows were compared with these benchmarks' signatures and with no others: {listed(map(code, names))}."
        )
    else:
        yield Md("Rows were not compared with any benchmark, so some may be in what you measure on.")
    if "duplicates" not in filters:
        yield Md("Near-duplicates were not looked for.")


def _unscreened(facts: Facts) -> Iterator[Md]:
    yield Md("Pictures and texts were not screened for personal or offensive content.")


def _names(stages: Iterable[str]) -> Md:
    return listed(map(code, stages))


def shown(rate: float | None, low: float, high: float) -> Md:
    """A share with its interval."""
    return Md(f"{percent(rate)} ({low:.1%} to {high:.1%})")
