"""`capcurriculum audit`: models judge a sample of a run; rates of wrong labels go to `audit.json`.

Votes are rows of the run's answers under the auditor's name, so a second audit asks only what is missing, and probe and
pass rates do not see them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from pydantic import ValidationError
from rich.console import Console

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.auditor import AuditSection
from capcurriculum.render.progress import Display
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from capcurriculum.rows import LETTERS
from capcurriculum.run import Run, writing
from capcurriculum.tables import write_atomically
from capcurriculum.validation import faults
from datagen.auditor import Opinion, audit
from datagen.sources import gather
from filters import pipeline
from filters.audit import noise
from filters.audit.noise import COLUMNS, Rate, Sample
from filters.rules.auditor import AuditorSection

FILE = "audit.json"


@dataclass(frozen=True, slots=True)
class Report:
    """The rates, the auditors, and whether none of these has filtered the run."""

    askers: tuple[str, ...]
    independent: bool
    rates: tuple[Rate, ...]


def filtering(recipe: Recipe) -> list[AuditorSection]:
    """The auditors among the recipe's filters."""
    return [section for section in recipe.filters if isinstance(section, AuditorSection)]


def auditor(
    recipe: Recipe,
    models: Sequence[str] = (),
    mode: str | None = None,
    sees: str | None = None,
    votes: int | None = None,
    reader: str | None = None,
) -> AuditSection:
    """The auditors of the command line; missing options are those of the recipe's first such filter, if any.

    More votes than the options have rotations, and several descriptions, are sampled at temperature 0.7.

    Raises:
        RecipeError: no model is named and the recipe has none, or the options are invalid.
    """
    own = next(iter(filtering(recipe)), None)
    given = {"models": tuple(models) or None, "mode": mode, "sees": sees, "votes": votes, "reader": reader}
    describes = (mode or (own.mode if own else "")) == "describe"
    foreign = {"sees"} if describes else {"reader", "instruction"}  # of a filter of another mode
    keys = {key: value for key, value in (_plain(own) if own else {}).items() if key not in foreign}
    keys |= {key: value for key, value in given.items() if value is not None}
    names = ", ".join(sorted(recipe.models))
    if "models" not in keys:
        raise RecipeError(f"Name the auditor with --model; the recipe's models are {names}.")
    if missing := sorted({*keys["models"], reader or keys["models"][0]} - set(recipe.models)):
        raise RecipeError(
            f"The recipe has no model {missing[0]}{meant(missing[0], recipe.models)}; it has {names}. Or add it under "
            "models, which does not change the run, and name the recipe file instead of the run."
        )
    if keys.get("votes", 0) > (1 if describes else len(LETTERS)) and not keys.get("sampling", {}).get("temperature"):
        keys["sampling"] = keys.get("sampling", {}) | {"temperature": 0.7}
    try:
        return AuditSection.model_validate(keys)
    except ValidationError as error:
        raise RecipeError(f"The auditors cannot be asked so: {faults(error, AuditSection, keys)}.") from error


def audit_run(recipe: Recipe, run: Run, section: AuditSection, size: int, seed: int, display: Display) -> Report:
    """Ask about a sample of a run, estimate the rates, and write `audit.json` into the run.

    Raises:
        RecipeError: the recipe makes no questions from captions, or is not the run's.
        RunError: no such question has been judged yet, or another process writes the run.
        EngineError: an auditor cannot be used; votes so far stay.
    """
    if not recipe.captioned:
        raise RecipeError("Only questions made from captions are audited, and the recipe has no such stage.")
    if size < 1:
        raise RunError(f"A sample of {size} questions is empty; give a --size of at least 1.")
    with writing(_located(recipe, run)) as opened:
        sample = noise.draw(opened, recipe, size, seed)
        if not sample.drawn:
            raise RunError(f"The run {run.path} has no judged question made from a caption yet; build it first.")
        ids = pl.LazyFrame({"question_id": [drawn.question_id for drawn in sample.drawn]})
        audit(gather.setting(opened, recipe, display), section, pipeline.questions(opened, ids))
        opinions = _opinions(opened, recipe, section, ids)
        independent = not any(set(own.models) & set(section.models) for own in filtering(recipe))
        report = Report(section.askers(recipe.models), independent, tuple(noise.estimate(sample, opinions)))
        _write(opened, report, section, sample, opinions, seed)
    return report


def _located(recipe: Recipe, run: Run) -> Recipe:
    """The recipe with `runs` set to the folder of the run, which may have been moved."""
    if recipe.run_dir.resolve() == run.path.resolve():
        return recipe
    if recipe.name != run.path.name:
        raise RunError(f"The folder {run.path} holds the run {recipe.name}; give it that name back.")
    return recipe.model_copy(update={"runs": str(run.path.parent)})


def _opinions(run: Run, recipe: Recipe, section: AuditSection, ids: pl.LazyFrame) -> dict[str, Opinion]:
    asked = ids.collect()["question_id"].to_list()
    where = [pl.col("solver").is_in(section.askers(recipe.models)), pl.col("rollout") < section.votes]
    where += [pl.col("order") < section.reader.orders] if section.reader else []
    return noise.opinions(run, *where, pl.col("question_id").is_in(asked))


def _write(
    run: Run, report: Report, section: AuditSection, sample: Sample, opinions: Mapping[str, Opinion], seed: int
) -> None:
    facts = {
        "askers": report.askers,
        "auditor": _plain(section),
        "independent": report.independent,
        "seed": seed,
        "rates": [asdict(rate) for rate in report.rates],
        "sample": [asdict(d) | {"opinion": opinions.get(d.question_id, Opinion.UNKNOWN)} for d in sample.drawn],
    }
    write_atomically(run.path / FILE, (json.dumps(facts, indent=1) + "\n").encode())


def _plain(section: AuditSection) -> dict[str, Any]:
    """The fields on how auditors are asked, without those of a filter."""
    return section.model_dump(mode="json", include=set(AuditSection.model_fields))


def show(report: Report, console: Console) -> None:
    """Print a row for each stratum, then notes."""
    console.print(grid(("stratum", *COLUMNS), (rate.cells() for rate in report.rates), COLUMNS))
    note = f"Opinions of {', '.join(report.askers)}; their own mistakes are in the rates."
    if not report.independent:
        note += " A model that filtered a run finds few errors in what it kept; name another auditor with --model."
    console.print(visible(note), markup=False, highlight=False, soft_wrap=True)
