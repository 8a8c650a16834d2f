"""Write the card of a data set from the staged files and their run.

The same run gives the same bytes, so that publishing twice changes nothing: no time, no version but the run's, no local
path.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from capcurriculum.render.markdown import Md, block, code
from capcurriculum.tables import write_atomically
from cards import citations, licences, plots, templates
from cards.dataset import limits, metadata, order, parts, provenance, rows
from cards.dataset.example import example
from cards.estimates import estimates
from cards.staged import Staged

IMAGES = "pictures"
_RECIPE = 12_000


def render(staged: Staged) -> Sequence[Path]:
    """Write `README.md` and its images into the staged folder; returns their paths.

    Raises:
        HubError: the Hub's library would refuse the metadata.
        RunError: the run is damaged.
    """
    folder = staged.folder / IMAGES
    splits = {one.name: rows.splits(one) for one in staged.sets}
    counted = rows.sources(staged.sets)
    declared = citations.declared(staged.run)
    origins = {one.source: citations.origin(one.source, declared) for one in counted}
    found = licences.of((one.license, one.rows) for one in counted)
    facts = _facts(staged, tuple(origins.values()), found)
    written = _plots(folder, facts)
    examples = [one for one in (example(staged_set, folder) for staged_set in staged.sets) if one]
    written += [folder / one.image for one in examples if one.image]
    card = templates.write_card(
        staged.folder,
        __package__,
        metadata.card_data(staged, splits, found, _languages(origins)),
        **_head(staged, splits, facts.stages),
        examples=[parts.example(one, IMAGES) for one in examples],
        sources=parts.sources(counted, origins),
        licences=parts.licences(found),
        evidence=parts.evidence(origins),
        certificates=parts.certificates(facts.estimates, rows.stages(staged.sets)),
        citation=parts.citation(origins),
        **_numbers(facts),
        **_made(staged, facts),
    )
    return [*written, card]


def _facts(staged: Staged, origins: Sequence[citations.Origin], found: Sequence[licences.Licence]) -> limits.Facts:
    stages = tuple(rows.stages(staged.sets))
    return limits.Facts(
        recipe=staged.recipe,
        stages=stages,
        captioned=provenance.captioned(staged.recipe, stages),
        roles=provenance.roles(staged.recipe, stages),
        origins=origins,
        licences=found,
        keys=rows.keys(staged.sets),
        pass_rates=rows.pass_rates(staged.sets),
        estimates=estimates(staged.run.path),
    )


def _head(staged: Staged, splits: Mapping[str, Sequence[rows.Split]], stages: Sequence[str]) -> dict[str, Any]:
    others = [repo for repo in staged.siblings if repo != staged.repo_id]
    return {
        "title": parts.title(staged.repo_id.rpartition("/")[2]),
        "what": [parts.stage(stage, staged.recipe) for stage in stages],
        "siblings": [parts.repo(name) for name in others],
        "place": staged.siblings.index(staged.repo_id) + 1 if others and staged.repo_id in staged.siblings else 0,
        "places": len(staged.siblings),
        "splits": parts.splits(staged, splits),
        "order": order.described(order.order(staged)),
        "load": parts.load(staged),
        "columns": parts.columns(staged),
        "environment": parts.environment(staged) if staged.environment else None,
    }


def _numbers(facts: limits.Facts) -> dict[str, Any]:
    return {
        "keys": parts.keys(facts.keys),
        "pass_rates": parts.pass_rates(facts.pass_rates),
        "estimates": [parts.estimate(one) for one in facts.estimates],
        "roles": parts.roles(facts.roles),
        "limits": limits.limits(facts),
    }


def _made(staged: Staged, facts: limits.Facts) -> dict[str, Any]:
    run, about = staged.run, staged.run.about()
    recipe = yaml.safe_dump(
        staged.recipe.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True
    )
    words = order.command(order.order(staged))
    lines = ["capcurriculum build recipe.yaml"]
    lines += [f"capcurriculum curriculum {staged.recipe.name} {words}"] if words else []
    version = str(about.get("capcurriculum", ""))
    return {
        "funnel": parts.funnel(provenance.funnel_lines(run, facts.stages)),
        "prompts": [parts.prompt(one) for one in provenance.used_prompts(about, staged.recipe, facts.stages)],
        "costs": parts.costs(provenance.costs(run, staged.recipe)),
        "kept_costs": parts.kept_costs(provenance.kept_costs(run, staged.recipe, facts.stages)),
        "commands": block("\n".join(lines), language="sh"),
        "recipe": block(recipe, _RECIPE, language="yaml"),
        "version": code(version) if version else Md("an unknown version"),
        "versions": parts.versions(about),
    }


def _plots(folder: Path, facts: limits.Facts) -> list[Path]:
    """Write the plots of the numbers that the set has; returns their paths."""
    made: dict[str, bytes] = {}
    if facts.pass_rates:
        charts = [(one.stage, one.labels, one.counts) for one in facts.pass_rates]
        made["pass_rates.png"] = plots.histograms(charts, "pass rate")
    if facts.keys:
        bars = [(one.stage, list(one.counts), list(one.counts.values())) for one in facts.keys]
        made["answer_keys.png"] = plots.histograms(bars, "marked answer", 2.0, even=True)
    folder.mkdir(exist_ok=True)
    for name, data in made.items():
        write_atomically(folder / name, data)
    return [folder / name for name in made]


def _languages(origins: Mapping[str, citations.Origin]) -> list[str]:
    """The languages of the rows, empty unless known for every source."""
    found = [{entry.language for entry in one.entries if entry.language} for one in origins.values()]
    return sorted(set().union(*found)) if all(found) else []
