"""Finished trainings made up for tests of the comparison of curricula."""

import random

from benchmarks.curricula_records import Measured, Outcome, Step
from benchmarks.curricula_rows import STAGES

ROWS = 120


def measured(stage: str, gain: float) -> Measured:
    """Rows that are as hard for every model, each right more often by `gain`."""
    draw = random.Random(stage)
    rates = {f"{stage}{row}": min(1.0, draw.choice([0.0, 0.5]) + gain) for row in range(ROWS)}
    return Measured(rates, 1.0, 20.0)


def outcome(*gains: float, steps: int = 3, spare: bool = False) -> Outcome:
    """A training with a gain a stage, the same on the rows of the curves; on the spare seed without a final."""
    of = dict(zip(STAGES, gains, strict=True))
    found = {stage: measured(stage, gain) for stage, gain in of.items()}
    curve = {step: found for step in range(1, steps + 1)} if steps else {0: found}
    return Outcome([Step(0.5, 0.4, 20.0, 0.5)] * steps, curve, {} if spare else found, 256 * steps)
