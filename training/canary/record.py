"""What the canary says: `canary.jsonl` in a stage's folder, one line a look, with a sentence for people.

Read by the supervising process too, so nothing here imports torch or verl.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capcurriculum.errors import TrainerError
from training.canary.rule import Side, Verdict

#: A file beside the stage's log.
FILE = "canary.jsonl"
#: Rows that are looked at, at most.
ROWS = 4

_NAMES: Mapping[Side, str] = {"trainer": "the trainer", "rollout": "the rollout engine", "": "one of the two"}
_MEND = (
    "see that verl, vLLM, transformers and the checkpoint's processor are those that this version was tried with "
    "(constraints.txt) and that no key of training.verl changes how pictures are read, then run again"
)


class PixelCanaryError(RuntimeError):
    """The trainer and the rollout engine do not see the same pictures; ends the trainer from within."""


def planned(pictures: bool | None, save_every: int) -> str:
    """What a plan says of a stage whose rows have pictures, have none, or are not known to, without a full stop."""
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
        case "undecided", _ if math.isfinite(verdict.apart):
            return "it is undecided whether pictures are seen alike, for other ones hardly move the reply"
        case "undecided", _:
            return "it is undecided whether pictures are seen alike, for some log-probabilities are no numbers"
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


def heard(look: Mapping[str, Any], stage: str, file: Path) -> str:
    """What is shown of a look, a line of the file.

    Raises:
        TrainerError: the two do not see the same pictures.
    """
    if look["state"] == "fault":
        raise TrainerError(f"The pixel canary ended {stage}: {look['sentence']}; {_MEND}; the numbers are in {file}.")
    return f"{stage}: canary: {look['sentence']}"
