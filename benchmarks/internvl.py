"""A small InternVL trained in verl on two ranks: `python -m benchmarks internvl_logprob_gap internvl_two_ranks`.

The model is overfitted to a few scenes, so that pictures decide its replies; rows with and without pictures come in
micro-batches of one, so that one rank has a picture where the other has none. Two steps, two minutes.
"""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from capcurriculum.recipe import parse
from tests.support import training_data
from training import chain, plan
from training.canary.record import FILE


def gap() -> float:
    """The largest distance in nats of the trainer's and vLLM's log-probability of a token, in the canary's looks.

    Raises:
        ValueError: a look did not find that both see the pictures.
    """
    _, looks = _trained()
    if not looks or {look["state"] for look in looks} != {"alike"}:
        raise ValueError(f"the looks ended as {[look['sentence'] for look in looks]}")
    readings = [reading for look in looks for reading in look["readings"]]
    pairs = (pair for one in readings for pair in zip(one["trainer"], one["rollout"], strict=True))
    return max(abs(float(trainer) - float(rollout)) for trainer, rollout in pairs)


def two_ranks() -> float:
    """1 where the stage was trained to its end on two ranks."""
    return float(_trained()[0])


@cache
def _trained() -> tuple[bool, list[dict[str, Any]]]:
    """(whether the stage came to its end, the canary's looks)."""
    from tests.support import tiny_internvl

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        start = tiny_internvl.write(root / "model")
        rows = [(stage, number) for stage, count in (("visual", 16), ("text", 8)) for number in range(count)]
        tiny_internvl.teach(start, [training_data.row(stage, number, "train") for stage, number in rows])
        training_data.write_stage(root / "runs/internvl/stages", "merged").rename(root / "runs/internvl/stages/text")
        knobs = {"max_steps": 2, "save_every": 1, "max_response_tokens": 32}
        knobs |= {"update_micro_batch": 1, "log_prob_micro_batch": 1}
        data = {
            "name": "internvl",
            "runs": str(root / "runs"),
            "models": {"m": {"engine": "transformers", "model": "micro:start"}},
            "rollouts": {"model": "m"},
            "text": {"source": {"kind": "scenes"}},
            "training": {"model": str(start), "gpus": 2, "stages": ["text"], "knobs": knobs},
        }
        wanted = parse(data, "benchmark")
        chain.train(wanted, console=Console(quiet=True))
        (stage,) = plan.load(wanted.training_dir / "plan.json")
        lines = (wanted.training_dir / "text" / FILE).read_text().splitlines()
    return stage.state == plan.State.DONE, [json.loads(line) for line in lines]
