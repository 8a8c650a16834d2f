"""Train the shipped checkpoints: `python -m datagen.micro.train [--name solver_a|solver_b|start|reader|hedging|all]`.

A curriculum, because a small model learns in a fixed order: lookups and interviews about captions first (text alone,
short), then writing, then seeing images that grow harder, then every task at once with a falling learning rate, and
at last a revision of what is read and written. Whoever starts with images loses the lookups and does not get them
back. The two solvers differ in their seed alone; `start` is an early snapshot of a solver's run, `reader` a solver
that then learned to read what need not tell the answer, and `hedging` one that then saw answers of which 40 % are wrong
(`noisy`). The shipped weights are those of this schedule from nothing,
its two rounds run one after the other: 3,950 steps in 44 minutes with a core for each solver (AMD EPYC, AVX2). Another
machine sums in another order, so its weights will differ from these a little.
"""

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from datagen.micro import corpus, learning, model, tokenizer

log = logging.getLogger(__name__)

_MUON_LR = 2e-3
_ADAM_LR = 2e-3
_WARMUP = 20
_PROBE_EVERY = 50


@dataclass(frozen=True, slots=True)
class Phase:
    """`steps` batches of tasks drawn by `mix`, with images whose difficulty is uniform in `difficulty`.

    The learning rate goes from `rate[0]` to `rate[1]`, as shares of the full one; AdamW's is `adam` times that.
    """

    steps: int
    mix: Mapping[str, float]
    difficulty: tuple[float, float]
    rate: tuple[float, float] = (1.0, 1.0)
    adam: float = 1.0


_READING = {"lookup": 0.5, "interview_caption": 0.5}
_WRITING = {"lookup": 0.15, "interview_caption": 0.40, "from_caption": 0.20, "teach": 0.25}
_SEEING = {
    "caption": 0.25, "interview_image": 0.25, "interview_caption": 0.20, "from_caption": 0.12, "teach": 0.12,
    "lookup": 0.06,
}  # fmt: skip
_EVERYTHING = {
    "interview_image": 0.22, "from_image": 0.17, "caption": 0.08, "visual": 0.10, "interview_caption": 0.09,
    "from_caption": 0.10, "teach": 0.14, "text": 0.06, "blind": 0.02, "lookup": 0.02,
}  # fmt: skip
_REVISION = {
    "interview_caption": 0.24, "from_caption": 0.22, "teach": 0.20, "from_image": 0.12, "interview_image": 0.10,
    "visual": 0.06, "text": 0.06,
}  # fmt: skip
_CURRICULUM: tuple[Phase, ...] = (
    Phase(130, _READING, (0.0, 0.0)),
    Phase(320, _WRITING, (0.0, 0.0), adam=0.4),
    Phase(500, _SEEING, (0.0, 0.7), (0.7, 0.7), adam=0.4),
    Phase(1250, _EVERYTHING, (0.2, 1.1), (0.7, 0.5), adam=0.4),
    Phase(1400, _EVERYTHING, (0.4, 1.2), (0.5, 0.0), adam=0.4),
)
#: The second round begins with the weights a checkpoint stores and with fresh optimisers, so it can start from one.
ROUNDS: tuple[tuple[Phase, ...], ...] = (_CURRICULUM, (Phase(350, _REVISION, (0.4, 1.2), (0.3, 0.0), adam=0.4),))
TOTAL = sum(phase.steps for phases in ROUNDS for phase in phases)
SEEDS: dict[str, int] = {"solver_a": 11, "solver_b": 23}
#: `start` is this solver after so many steps.
START: tuple[str, int] = ("solver_a", 2100)
#: The reader's one task. The reader shipped was taught 300 steps with fewer questions about sizes, whose replies told
#: the size before the shape, and 60 more as rows are made now.
_READER = Phase(360, {"reading": 1.0}, (0.0, 0.0), (0.5, 0.0), adam=0.4)
#: What makes a solver hedge, and what keeps it from hedging about captions, too.
_HEDGED = {"noisy_from_image": 0.28, "noisy_text": 0.28, "noisy_visual": 0.28, "from_caption": 0.16}
_HEDGING = Phase(180, _HEDGED, (0.4, 1.2), (0.25, 0.0), adam=0.4)
#: What is made of a finished solver: name -> (the solver, what it is taught further).
FURTHER: dict[str, tuple[str, Phase]] = {"reader": ("solver_a", _READER), "hedging": ("solver_a", _HEDGING)}


class Run:
    """Training from one seed: what is known between two steps.

    `save_at` says after how many steps to write a checkpoint where; the run ends with the last of them.
    """

    def __init__(
        self,
        words: PreTrainedTokenizerFast,
        seed: int,
        save_at: Mapping[int, Path],
        network: Qwen3VLForConditionalGeneration | None = None,
    ) -> None:
        self.words, self.seed, self.save_at = words, seed, save_at
        self.network = network or model.new(words, seed)
        learning.quicken(self.network)
        self.probes = learning.Rows(words, -1 - seed)
        self.step, self.began = 0, time.monotonic()

    def go(self) -> None:
        """Train to the last step that is saved."""
        for number, phases in enumerate(ROUNDS):
            if self.step < max(self.save_at):
                self.round(number, phases)

    def round(self, number: int, phases: Sequence[Phase]) -> None:
        """One round, or as much of it as is needed."""
        if number:
            model.round_weights(self.network)
        rows, rng = learning.Rows(self.words, self.seed + 1000 * number), Random(self.seed + 1000 * number)
        optimisers = learning.optimisers(self.network, _MUON_LR, _ADAM_LR)
        first = self.step
        for phase in phases:
            for index in range(min(phase.steps, max(self.save_at) - self.step)):
                warm = min(1.0, (self.step - first + 1) / _WARMUP)
                self.set_rates(optimisers, phase, index, warm)
                task = rng.choices(list(phase.mix), list(phase.mix.values()))[0]
                batch = rows.batch(task, phase.difficulty)
                learning.loss(self.network, batch, rows.encoder.image).backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                for optimiser in optimisers:
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                self.after(phase)

    @staticmethod
    def set_rates(optimisers: Sequence[torch.optim.Optimizer], phase: Phase, index: int, warm: float) -> None:
        """The learning rates of the phase's step `index`; `warm` is the share of a warm-up that has passed."""
        muon, adam = optimisers
        begin, end = phase.rate
        share = warm * (begin + (end - begin) * index / phase.steps)
        muon.param_groups[0]["lr"] = _MUON_LR * share
        adam.param_groups[0]["lr"] = _ADAM_LR * share * phase.adam

    def after(self, phase: Phase) -> None:
        """Count a step, and probe and save when it is time."""
        self.step += 1
        if self.step % _PROBE_EVERY == 0:
            found = learning.probe(self.network, self.probes, list(phase.mix), phase.difficulty)
            scores = "  ".join(f"{task} {tokens:.3f}/{letters:.2f}" for task, (tokens, letters) in found.items())
            log.info("step %d, %.0f s, tokens/letters: %s", self.step, time.monotonic() - self.began, scores)
        if self.step in self.save_at:
            model.save(self.network, self.words, self.save_at[self.step])


def _run(seed: int, saves: Mapping[int, Path]) -> None:
    """One process: one core, its own log."""
    logging.basicConfig(level=logging.INFO, format=f"seed {seed}: %(message)s")
    torch.set_num_threads(1)
    Run(tokenizer.train(corpus.texts()), seed, saves).go()


def further(solver: Path, phase: Phase, seed: int, out: Path) -> None:
    """Teach the finished solver in the folder `solver` one phase more, into the folder `out`; its tokenizer stays."""
    torch.set_num_threads(1)
    words = AutoTokenizer.from_pretrained(solver)
    network = Qwen3VLForConditionalGeneration(model.config(words))
    finished = Qwen3VLForConditionalGeneration.from_pretrained(solver, dtype=torch.float32)
    network.load_state_dict(finished.state_dict())
    Run(words, seed, {phase.steps: out}, network).round(len(ROUNDS), (phase,))


def main() -> None:
    """Train what the command line names, each solver in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--name", choices=[*SEEDS, "start", *FURTHER, "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("checkpoints"))
    asked = parser.parse_args()
    runs: dict[str, dict[int, Path]] = {name: {} for name in SEEDS}
    for name, saves in runs.items():
        if asked.name in (name, "all"):
            saves[TOTAL] = asked.out / name
    if asked.name in ("start", "all"):
        solver, steps = START
        runs[solver][steps] = asked.out / "start"
    with ProcessPoolExecutor(len(runs), mp_context=get_context("spawn")) as processes:
        for done in [processes.submit(_run, SEEDS[name], saves) for name, saves in runs.items() if saves]:
            done.result()
    for name in FURTHER:
        if asked.name in (name, "all"):
            logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", force=True)
            base, phase = FURTHER[name]
            further(asked.out / base, phase, SEEDS[base], asked.out / name)


if __name__ == "__main__":
    main()
