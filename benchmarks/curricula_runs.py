"""One training of the comparison, and what is measured on its way."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers import Qwen3VLForConditionalGeneration

from benchmarks import curricula_grpo as grpo
from benchmarks import curricula_policy as policy
from benchmarks.curricula_policy import Book
from benchmarks.curricula_records import Measured, Outcome
from benchmarks.curricula_rows import Task

#: Replies to every row of the final measurement, and to the rows of the curves.
FINAL_REPLIES, CURVE_REPLIES = 2, 1
_FINAL_SEED, _CURVE_SEED, _RATES_SEED = 1, 2, 3
#: How often a training is measured on the rows of the curves.
_PARTS = 3

Stages = Mapping[str, Sequence[Task]]


def measure(
    model: Qwen3VLForConditionalGeneration, of: Book, held: Stages, replies: int, seed: int
) -> dict[str, Measured]:
    """A model on held-out rows, by stage; all models get the same draws."""
    found = {}
    for stage, tasks in held.items():
        answers = policy.answer(model, of, tasks, replies, seed)
        every = [reply for own in answers for reply in own]
        found[stage] = Measured(
            {task.name: sum(r.right for r in own) / len(own) for task, own in zip(tasks, answers, strict=True)},
            sum(reply.readable for reply in every) / len(every),
            sum(len(reply.ids) for reply in every) / len(every),
        )
    return found


def pass_rates(folder: Path, of: Book, tasks: Stages) -> dict[str, tuple[int, int]]:
    """Name of a row -> right and readable replies of the start, of as many as a step asks for."""
    model = policy.load(folder)
    found: dict[str, tuple[int, int]] = {}
    for own in tasks.values():
        answers = policy.answer(model, of, own, grpo.REPLIES, _RATES_SEED)
        found |= {
            task.name: (sum(r.right for r in replies), sum(r.readable for r in replies))
            for task, replies in zip(own, answers, strict=True)
        }
    return found


def train(
    folder: Path, of: Book, sets: Sequence[Sequence[Task]], rate: float, seed: int, curve: Stages, final: Stages
) -> tuple[Qwen3VLForConditionalGeneration, Outcome]:
    """Train the checkpoint in `folder` on one set after the other, and measure it.

    Args:
        folder: the start.
        of: the rows' prompts.
        sets: each is taught once, in order; the last step of a set may be smaller.
        rate: the learning rate.
        seed: of the draws.
        curve: rows that are asked after each third of the steps; may be empty.
        final: rows that are asked at the end; may be empty.
    """
    model, outcome = policy.load(folder), Outcome(rollouts=grpo.REPLIES * sum(map(len, sets)))
    total = sum(-(-len(tasks) // grpo.PROMPTS) for tasks in sets)
    for tasks in sets:
        start, reference = {name: weight.clone() for name, weight in model.state_dict().items()}, None
        steps = grpo.optimiser(model, rate)
        for first in range(0, len(tasks), grpo.PROMPTS):
            number = len(outcome.steps)
            some = tasks[first : first + grpo.PROMPTS]
            outcome.steps.append(grpo.step(model, reference, steps, of, some, 1_000 * seed + number))
            if reference is None:
                reference = policy.load(folder)
                reference.load_state_dict(start)
            done = number + 1
            if curve and done * _PARTS // total > number * _PARTS // total:
                outcome.curve[done] = measure(model, of, curve, CURVE_REPLIES, _CURVE_SEED)
    if not sets:
        outcome.curve[0] = measure(model, of, curve, CURVE_REPLIES, _CURVE_SEED)
    outcome.final.update(measure(model, of, final, FINAL_REPLIES, _FINAL_SEED))
    return model, outcome
