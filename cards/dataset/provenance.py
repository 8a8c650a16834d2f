"""The provenance of a set, from its run: funnel, models with their roles, prompts, and costs.

A downloaded run has stage files only, and therefore none of these.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from capcurriculum import prompts
from capcurriculum.errors import RunError
from capcurriculum.ledger import cost, funnel, kept_cost
from capcurriculum.ledger.cost import Spend
from capcurriculum.ledger.funnel import FunnelLine
from capcurriculum.ledger.kept_cost import StageCost
from capcurriculum.prompts import own
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from filters.rules.auditor import AuditorSection


@dataclass(frozen=True, slots=True)
class Role:
    """A model of the recipe, its role, and its sampling (None: that of the filter).

    `asked_with` are further settings of its requests; see `ModelSection.asked_with`.
    """

    name: str
    role: str
    model: str
    engine: str
    sampling: Any
    asked_with: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt with the digest recorded by the run; `text` is "" if this version has another text."""

    name: str
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class Cost:
    """The spend of one step with one model; `money` is None without prices in the recipe."""

    spend: Spend
    money: float | None


def funnel_lines(run: Run, stages: Iterable[str]) -> list[FunnelLine]:
    """The funnel of some stages, in their order; raises `RunError` if the run's tables are damaged."""
    if not (run.path / "recipe.yaml").is_file():
        return []  # a downloaded run
    try:
        lines = funnel.lines(run)
    except (pl.exceptions.PolarsError, duckdb.Error) as error:
        raise RunError(
            f"The tables of {run.path} are damaged ({' '.join(str(error).split())}); remove the shard it names and "
            "build again."
        ) from error
    return [line for stage in stages for line in lines if line.stage == stage]


def captioned(recipe: Recipe, stages: Iterable[str]) -> Mapping[str, Any]:
    """Stage -> its section of the recipe, for stages whose questions a teacher wrote from captions."""
    return {stage: recipe.captioned[stage] for stage in stages if stage in recipe.captioned}


def roles(recipe: Recipe, stages: Iterable[str]) -> list[Role]:
    """The models with their roles, in the order of the build."""
    asked: list[tuple[str, str, Any]] = []
    for section in captioned(recipe, stages).values():
        asked.append((section.teacher.model, "teacher: writes questions", section.teacher.sampling))
        asked += [(name, "solver: answers them on each arm", section.probe.sampling) for name in section.probe.solvers]
    for one in recipe.filters:
        asked += [(name, f"filter {one.name}", None) for name in getattr(one, "models", None) or ()]
        if isinstance(one, AuditorSection) and one.reader:
            asked.append((one.reader.model, f"filter {one.name}: answers from descriptions", one.reader.sampling))
    asked.append(
        (recipe.rollouts.model, "rollouts: its share of right replies is the pass rate", recipe.rollouts.sampling)
    )
    found = []
    for name, role, sampling in dict.fromkeys((name, role, sampling) for name, role, sampling in asked):
        model = recipe.models.get(name)
        if model:
            found.append(Role(name, role, model.model, model.engine, sampling, model.asked_with))
    return found


def used_prompts(facts: Mapping[str, Any], recipe: Recipe, stages: Iterable[str]) -> list[Prompt]:
    """The prompts of these stages, with the digests in the run's `facts` (`run.json`), and the recipe's own."""
    sections = captioned(recipe, stages)
    names, written = ["system"], list[Prompt]()
    for stage, section in sections.items():
        ours = "teacher_image" if section.teacher.sees == "image_and_caption" else "teacher_caption"
        names += ["choice"] if section.teacher.prompt else [ours, "choice"]
        names += ["caption_arm"] if "caption" in set(section.probe.arms) - section.probe.prompts.keys() else []
        texts = {"teacher": section.teacher.prompt} | {
            f"{arm} arm": text for arm, text in section.probe.prompts.items()
        }
        written += [Prompt(f"{stage}, {name}", own.digest(text), text) for name, text in texts.items() if text]
    for one in recipe.filters if sections else ():
        names += _auditors(one) if isinstance(one, AuditorSection) else []
    recorded = facts.get("prompts")
    recorded = recorded if isinstance(recorded, dict) else {}
    known = set(prompts.names())
    found = []
    for name in dict.fromkeys(names):
        digest = str(recorded.get(name, ""))
        same = name in known and digest == prompts.digest(name)
        found.append(Prompt(name, digest, prompts.source(name) if same else ""))
    return [*found, *written]


def _auditors(section: AuditorSection) -> list[str]:
    """The prompts of an auditor; one that answers questions has those of a solver."""
    if section.reader:
        describe = [] if section.instruction else ["describe"]
        return [*describe, "reader" if section.reader.may_pass else "caption_arm"]
    return ["auditor"] if section.mode == "judge" else []


def costs(run: Run, recipe: Recipe) -> list[Cost]:
    """The spend of the whole run, by step and model."""
    return [
        Cost(one, cost.money(cost.recipe_model(recipe, one.step, one.model), one.tokens_in, one.tokens_out))
        for one in cost.spends(run)
    ]


def kept_costs(run: Run, recipe: Recipe, stages: Iterable[str]) -> list[StageCost]:
    """What a kept row of each of some stages cost; nothing of a downloaded run."""
    if not (run.path / "recipe.yaml").is_file():
        return []
    found = {one.stage: one for one in kept_cost.of_run(run, recipe)}
    return [found[stage] for stage in stages if stage in found]
