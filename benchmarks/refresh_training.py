"""The model of one seed of `refresh_compare`: it answers rows, is taught stages, and is measured after each."""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import torch

from benchmarks import curricula_grpo as grpo
from benchmarks import curricula_policy as policy
from benchmarks.curricula_rows import Task
from benchmarks.curricula_runs import FINAL_REPLIES, measure
from benchmarks.refresh_compare import RATE, StageOutcome
from capcurriculum.rows import Outcome
from capcurriculum.stats import PassRate

#: Random numbers of the held-out replies, the same for every model.
_FINAL_SEED = 1
Weights = Mapping[str, torch.Tensor]


class Training:
    """One model in memory; `seed` is of the draws in training and when pass rates are measured."""

    def __init__(self, start: Path, held: Mapping[str, Sequence[Task]], seed: int) -> None:
        self._start, self._held, self._seed = start, held, seed
        self._book, self._model = policy.book(start), policy.load(start)
        self._drawn = 0

    def weights(self) -> Weights:
        """A copy of the model's weights."""
        return {name: weight.clone() for name, weight in self._model.state_dict().items()}

    def restore(self, weights: Weights) -> None:
        """Go back to these weights, and to the draws that follow a first stage."""
        self._model.load_state_dict(dict(weights))
        self._drawn = 1_000

    def rates(self, tasks: Sequence[Task]) -> dict[str, PassRate]:
        """Name of a row -> its pass rate over as many replies as a step asks for."""
        self._drawn += 1
        answers = policy.answer(self._model, self._book, tasks, grpo.REPLIES, self._draw)
        return {
            task.name: PassRate.of(
                Outcome.RIGHT if one.right else Outcome.WRONG if one.readable else Outcome.UNPARSED for one in replies
            )
            for task, replies in zip(tasks, answers, strict=True)
        }

    @property
    def _draw(self) -> int:
        return 100_000 * self._seed + self._drawn

    def taught(self, tasks: Sequence[Task], steps: int, spent: int) -> StageOutcome:
        """Teach rows in batches, one pass over them after the other in the same order, and measure the model.

        A batch may end one pass and begin the next. verl would drop the rows that do not fill a batch, here up to a
        third of them, and in an order always the same ones, which of thousands of rows are few.

        Args:
            tasks: the rows.
            steps: of the stage in all.
            spent: rollouts that were spent on it before, which are taken off the steps.
        """
        steps -= -(-spent // (grpo.PROMPTS * grpo.REPLIES))
        before, reference = self.weights(), None
        optimiser = grpo.optimiser(self._model, RATE)
        following = cycle(tasks)
        mixed = []
        for _ in range(steps):
            self._drawn += 1
            batch = list(islice(following, grpo.PROMPTS))
            mixed.append(grpo.step(self._model, reference, optimiser, self._book, batch, self._draw).mixed)
            if reference is None:
                reference = policy.load(self._start)
                reference.load_state_dict(dict(before))
        rollouts = steps * grpo.PROMPTS * grpo.REPLIES
        return StageOutcome(len(tasks), spent, rollouts, sum(mixed) / len(mixed), self.measured())

    def measured(self) -> dict[str, dict[str, float]]:
        """Stage -> the share of right replies by held-out row."""
        found = measure(self._model, self._book, self._held, FINAL_REPLIES, _FINAL_SEED)
        return {stage: one.rates for stage, one in found.items()}
