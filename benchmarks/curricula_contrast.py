"""The contrast of `python -m benchmarks.curricula_compare`, as far as its trainings are finished.

Nothing is trained here: that takes nights, and the command itself goes on with what is not finished.
"""

from pathlib import Path

from benchmarks import curricula_page
from benchmarks.curricula_state import State

STATE = Path("runs/curricula_compare")


def staged_minus_merged(folder: Path = STATE) -> float | None:
    """Staged 1-2-3 minus merged on the visual rows that need stage 1, in points; printed with its interval."""
    found = curricula_page.contrast(list(State(folder).finished()))
    if found is None:
        print(f"{folder} has no finished pair of trainings: run python -m benchmarks.curricula_compare.")
        return None
    gain, seeds = found
    print(f"staged 1-2-3 minus merged on visual rows that need stage 1: {gain.points} points, {len(seeds)} seeds")
    return 100 * gain.mean


def compare_seeds(folder: Path = STATE) -> float | None:
    """How many seeds the contrast has."""
    found = curricula_page.contrast(list(State(folder).finished()))
    return None if found is None else len(found[1])
