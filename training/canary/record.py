"""The canary's report: `canary.jsonl` in a stage's folder, one line per check, and sentences for people.

The supervising process uses it too, so it imports neither torch nor verl.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capcurriculum.errors import TrainerError
from training.canary.rule import Side, Verdict

#: The file beside the stage's log.
FILE = "canary.jsonl"
#: At most so many rows are compared.
ROWS = 4

_NAMES: Mapping[Side, str] = {"trainer": "the trainer", "rollout": "the rollout engine", "": "one of the two"}
_MEND = (
    "see that verl, vLLM, transformers and the checkpoint's processor are those that this version was tried with "
    "(constraints.txt) and that no key of training.verl changes how pictures are read, then run again"
)


class PixelCanaryError(RuntimeError):
    """Trainer and rollout engine do not see the same images; raised in the trainer's process, which it ends."""


def planned(pictures: bool | None, save_every: int) -> str:
    """What a dry run says of the canary, without a full stop; `pictures`: whether rows have images, None if unknown."""
    if pictures is False:
        return "no row has a picture, so the pixel canary has nothing to look at"
    some = "" if pictures else "if rows have pictures, "
    return (
        f"{some}the pixel canary compares trainer and rollout engine on the pictures of {ROWS} rows before the first "
        f"step and every {save_every} steps; training.canary: false leaves it out"
    )


def sentence(verdict: Verdict, step: int) -> str:
    """The verdict in words, without a full stop."""
    when = f"after step {step}" if step else "before the first step"
    return f"{when} {_found(verdict)} ({_numbers(verdict)})"


def _found(verdict: Verdict) -> str:
    who = _NAMES[verdict.side]
    match verdict.state, verdict.kind:
        case "alike", _:
            return "trainer and rollout engine see the pictures alike"
        case "undecided", _:
            moved, broken = "other ones hardly move the reply", "some log-probabilities are no numbers"
            why = moved if math.isfinite(verdict.apart) else broken
            return f"it is undecided whether pictures are seen alike, for {why}"
        case _, "dropped":
            return f"{who} does not see the pictures, they are dropped on their way to it"
        case _, "shifted":
            return f"{who} sees in place of each picture that of the row beside it in the batch"
        case _, "swapped":
            return f"{who} sees pictures of other rows, they are swapped"
    if verdict.grown:
        return f"the two see pictures resized differently, the rollout engine's prompts by {verdict.grown:+d} tokens"
    return "the two see the right pictures, but resized or prepared differently"


def _numbers(verdict: Verdict) -> str:
    return (
        f"other pictures move a fixed reply by {verdict.trainer_reaction:.2g} nats a token in the trainer and "
        f"{verdict.rollout_reaction:.2g} in the rollout engine, which are {verdict.apart:.2g} apart, and "
        f"{verdict.noise:.2g} without pictures"
    )


def shown(look: Mapping[str, Any], stage: str, file: Path) -> str:
    """The line to print for a record of the file.

    Raises:
        TrainerError: trainer and rollout engine do not see the same images.
    """
    if look["state"] == "fault":
        raise TrainerError(f"The pixel canary ended {stage}: {look['sentence']}; {_MEND}; the numbers are in {file}.")
    return f"{stage}: canary: {look['sentence']}"
