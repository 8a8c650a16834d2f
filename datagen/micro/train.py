"""Train the shipped checkpoints: `python -m datagen.micro.train [--name solver_a|solver_b|start|all] [--out DIR]`.

A curriculum, because a small model learns in a fixed order: language and lookups first (text alone, short), then
seeing (dense captions of ever harder pictures), then every task at once with the learning rate falling to zero. The two
solvers differ in their seed alone; `start` is an early snapshot of a solver's run.
"""

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from datagen.micro import corpus, learning, model, tokenizer

log = logging.getLogger(__name__)

_MUON_LR = 2e-3
_ADAM_LR = 2e-3
_WARMUP = 20
#: Of a full run, the last part in which the learning rate falls to zero.
_COOLDOWN = 0.3
_PROBE_EVERY = 50


@dataclass(frozen=True, slots=True)
class Phase:
    """`steps` batches of tasks drawn by `mix`, with pictures whose difficulty is uniform in `difficulty`."""

    steps: int
    mix: dict[str, float]
    difficulty: tuple[float, float]


_EVERYTHING = {
    "from_image": 0.26,
    "interview_image": 0.18,
    "caption": 0.08,
    "visual": 0.10,
    "from_caption": 0.11,
    "interview_caption": 0.03,
    "teach": 0.12,
    "text": 0.07,
    "blind": 0.02,
    "lookup": 0.03,
}
PHASES: tuple[Phase, ...] = (
    Phase(80, {"lookup": 0.4, "interview_caption": 0.5, "caption": 0.1}, (0.0, 0.3)),
    Phase(370, {"caption": 0.45, "interview_image": 0.2, "interview_caption": 0.2, "lookup": 0.15}, (0.0, 0.6)),
    Phase(700, _EVERYTHING, (0.2, 1.2)),
    Phase(450, _EVERYTHING, (0.6, 1.2)),
)
SEEDS: dict[str, int] = {"solver_a": 11, "solver_b": 23}


def _rate(step: int, total: int) -> float:
    """Share of the full learning rate: up, level, down to zero."""
    return min(1.0, (step + 1) / _WARMUP, (total - step) / (_COOLDOWN * total))


def _report(
    network: Qwen3VLForConditionalGeneration, probes: learning.Rows, phase: Phase, step: int, began: float
) -> None:
    found = learning.probe(network, probes, list(phase.mix), phase.difficulty)
    scores = "  ".join(f"{task} {tokens:.3f}/{letters:.2f}" for task, (tokens, letters) in found.items())
    log.info("step %d, %.0f s, tokens/letters: %s", step, time.monotonic() - began, scores)


def train(out: Path, words: PreTrainedTokenizerFast, seed: int, snapshots: int = 0) -> None:
    """A full run; the checkpoint goes to `out`, and one to `out.step<N>` every `snapshots` steps if that is not 0."""
    network = model.new(words, seed)
    learning.quicken(network)
    rows, probes, rng = learning.Rows(words, seed), learning.Rows(words, -1 - seed), Random(seed)
    optimisers = learning.optimisers(network, _MUON_LR, _ADAM_LR)
    full = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    total, step, began = sum(phase.steps for phase in PHASES), 0, time.monotonic()
    for phase in PHASES:
        for _ in range(phase.steps):
            for optimiser, rates in zip(optimisers, full, strict=True):
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * _rate(step, total)
            task = rng.choices(list(phase.mix), list(phase.mix.values()))[0]
            learning.loss(network, rows.batch(task, phase.difficulty), rows.encoder.image).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            step += 1
            if step % _PROBE_EVERY == 0:
                _report(network, probes, phase, step, began)
            if snapshots and step % snapshots == 0:
                model.save(network, words, out.with_name(f"{out.name}.step{step}"))
    model.save(network, words, out)


def main() -> None:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--name", choices=[*SEEDS, "start", "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("checkpoints"))
    parser.add_argument("--snapshots", type=int, default=0, help="also keep a checkpoint every so many steps")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    words = tokenizer.train(corpus.texts())
    for name, seed in SEEDS.items():
        if asked.name in (name, "all"):
            train(asked.out / name, words, seed, asked.snapshots)


if __name__ == "__main__":
    main()
