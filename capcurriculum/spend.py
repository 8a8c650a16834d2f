"""What a run has cost so far, over all its sessions: requests and tokens from the tables, seconds from the events."""

from collections import defaultdict
from dataclasses import dataclass

from capcurriculum import ledger
from capcurriculum.run import Run

#: The event in which a step notes rows, `seconds` and `engine_seconds` since its last note.
ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Spend:
    """One step with one model: replies recorded, tokens, wall seconds and the engine's part of them."""

    step: str
    model: str
    replies: int
    tokens_in: int
    tokens_out: int
    seconds: float
    engine_seconds: float


def spends(run: Run) -> list[Spend]:
    """One line a step and model, in the order of the road."""
    _, rows = ledger.query(
        run,
        "select 'teacher' as step, '' as model, count(*), sum(tokens_in), sum(tokens_out) from attempts "
        "having count(*) > 0 union all "
        "select purpose, solver, count(*), sum(tokens_in), sum(tokens_out) from answers group by all",
    )
    seconds = _seconds(run)
    found = []
    for step, model, replies, tokens_in, tokens_out in rows:
        # One model teaches; attempts know it by the engine's name for it, events by the recipe's.
        names = [key for key in seconds if key[0] == step and model in ("", key[1])]
        wall, engine = (sum(seconds[key][place] for key in names) for place in (0, 1))
        name = str(model) or ", ".join(sorted(key[1] for key in names))
        count, read, written = (int(str(value)) for value in (replies, tokens_in, tokens_out))
        found.append(Spend(str(step), name, count, read, written, round(wall, 2), round(engine, 2)))
    order = ("teacher", "probe", "audit", "rollout")
    return sorted(found, key=lambda s: (order.index(s.step) if s.step in order else len(order), s.model))


def _seconds(run: Run) -> dict[tuple[str, str], tuple[float, float]]:
    """(step, model) -> wall and engine seconds."""
    total: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for event in run.events():
        if event.get("event") == ASKED:
            entry = total[str(event.get("step")), str(event.get("model"))]
            entry[0] += float(str(event.get("seconds", 0)))
            entry[1] += float(str(event.get("engine_seconds", 0)))
    return {key: (wall, engine) for key, (wall, engine) in total.items()}
