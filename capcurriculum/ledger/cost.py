"""What a run has cost so far over all its sessions: requests and tokens from the tables, seconds from the events."""

from collections import defaultdict
from dataclasses import dataclass

from capcurriculum.ledger import query
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Purpose
from capcurriculum.run import Run

#: The event in which a step notes rows and the numbers of `_NOTED` since its last note.
ASKED = "asked"
_NOTED = ("requests", "retries", "hedged", "seconds", "engine_seconds", "taken_over")


@dataclass(frozen=True, slots=True)
class Spend:
    """One step with one model.

    Replies recorded, requests that went out, the retries and the hedges among them (see `openai` in
    docs/architecture.md), tokens, wall seconds and the engine's part, and how many replies a fork took over.

    What was asked for in the last moments before a kill is in no account.
    """

    step: str
    model: str
    replies: int
    requests: int
    retries: int
    hedged: int
    tokens_in: int
    tokens_out: int
    seconds: float
    engine_seconds: float
    taken_over: int = 0


def spends(run: Run) -> list[Spend]:
    """The spend of each step with each model, in the order of the build."""
    _, rows = query.query(
        run,
        "select 'teacher' as step, '' as model, count(*), sum(tokens_in), sum(tokens_out) from attempts "
        "having count(*) > 0 union all "
        "select 'describe', describer, count(*), sum(tokens_in), sum(tokens_out) from descriptions group by all "
        "union all "
        "select purpose, solver, count(*), sum(tokens_in), sum(tokens_out) from answers group by all",
    )
    noted = _noted(run)
    found = []
    for step, model, replies, tokens_in, tokens_out in rows:
        # One model teaches; attempts know it by the engine's name for it, events by the recipe's.
        names = [key for key in noted if key[0] == step and model in ("", key[1])]
        sums = (sum(noted[key][place] for key in names) for place in range(len(_NOTED)))
        sent, again, hedged, wall, engine, taken_over = sums
        name = str(model) or ", ".join(sorted(key[1] for key in names))
        count, read, written = (int(str(value)) for value in (replies, tokens_in, tokens_out))
        times = round(wall, 2), round(engine, 2), int(taken_over)
        found.append(Spend(str(step), name, count, int(sent), int(again), int(hedged), read, written, *times))
    order = ("teacher", "probe", "describe", "audit", "rollout")
    return sorted(found, key=lambda s: (order.index(s.step) if s.step in order else len(order), s.model))


def recipe_model(recipe: Recipe, step: str, known: str) -> ModelSection | None:
    """The model of the recipe that a spend's name is of: auditors are known with a digest of how they are asked.

    None where the recipe has no such model, or no such auditor any more.
    """
    if known in recipe.models:
        return recipe.models[known]
    for section in (section for section in recipe.filters if isinstance(section, AuditFilterSection)):
        for name in section.models:
            if step == "describe" and known == section.describer(name, recipe.models):
                return recipe.models[name]
            if step == Purpose.AUDIT and known == section.asker(name, recipe.models):
                return recipe.models[section.reader.model if section.reader else name]
    return None


def money(model: ModelSection | None, tokens_in: float, tokens_out: float) -> float | None:
    """In the unit of the recipe's prices, which are for a million tokens each; None without them."""
    if model is None or model.price_in is None or model.price_out is None:
        return None
    return (tokens_in * model.price_in + tokens_out * model.price_out) / 1e6


def _noted(run: Run) -> dict[tuple[str, str], list[float]]:
    """(step, model) -> the sums of what was noted."""
    total: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(_NOTED))
    for event in run.events():
        if event.get("event") == ASKED:
            entry = total[str(event.get("step")), str(event.get("model"))]
            for place, name in enumerate(_NOTED):
                entry[place] += float(str(event.get(name, 0)))
    return dict(total)
