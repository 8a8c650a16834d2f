"""GRPO in one process and bare torch, with the knobs of a verl training on the CPU.

What verl 0.9.1 does with one update a step: advantages normalised in each group, the mean over all tokens of the policy
gradient and of the KL estimate times its coefficient, gradients clipped, one step of AdamW. As replies are sampled from
the very weights that are updated, every ratio is 1 and clipping (0.2 both ways) has nothing to act on: it is left out.
"""

from collections.abc import Sequence

import torch
from transformers import Qwen3VLForConditionalGeneration

from benchmarks import curricula_packed as packed
from benchmarks import curricula_policy as policy
from benchmarks.curricula_policy import Book, Reply
from benchmarks.curricula_records import Step
from benchmarks.curricula_rows import Task

PROMPTS, REPLIES = 32, 8
KL = 0.01
WEIGHT_DECAY, GRAD_CLIP = 0.01, 1.0
_EPSILON = 1e-6
#: Prompts whose replies are learned from at once; their gradients add up, and more of them would only leave the cache.
_MICRO_BATCH = 8


def advantages(scores: torch.Tensor) -> torch.Tensor:
    """Rewards (prompts, replies) less the mean of their group, over its standard deviation (Shao et al. 2024).

    With n - 1 below the variance and 1e-6 added to the deviation, as in verl's `compute_grpo_outcome_advantage`.
    """
    return (scores - scores.mean(1, keepdim=True)) / (scores.std(1, keepdim=True) + _EPSILON)


def kl(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The low-variance estimate of the KL divergence from the reference, a token each (Schulman 2020, k3)."""
    less = (reference - log_probs).clamp(-20, 20)
    return (less.exp() - less - 1).clamp(-10, 10)


def loss(log_probs: torch.Tensor, reference: torch.Tensor | None, advantage: torch.Tensor) -> torch.Tensor:
    """The loss of each token; without a reference the policy still is it, and the KL has neither value nor gradient."""
    gain = (log_probs - log_probs.detach()).exp() * advantage
    return -gain if reference is None else -gain + KL * kl(log_probs, reference)


def optimiser(model: Qwen3VLForConditionalGeneration, rate: float) -> torch.optim.Optimizer:
    """A fresh AdamW as verl makes one."""
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.999), weight_decay=WEIGHT_DECAY)


def step(
    model: Qwen3VLForConditionalGeneration,
    reference: Qwen3VLForConditionalGeneration | None,
    steps: torch.optim.Optimizer,
    of: Book,
    tasks: Sequence[Task],
    seed: int,
) -> Step:
    """Answer the rows `REPLIES` times each, and learn once from the rewards.

    Args:
        model: what is trained, in place.
        reference: what the KL is measured from; None where the model has not left it yet.
        steps: its optimiser.
        of: the rows' prompts.
        tasks: the rows of this step.
        seed: of the draws.
    """
    replies = policy.answer(model, of, tasks, REPLIES, seed)
    scores = torch.tensor([[reply.score for reply in own] for own in replies])
    learn(model, reference, steps, of, tasks, replies, advantages(scores))
    every = [reply for own in replies for reply in own]
    return Step(
        reward=sum(reply.score for reply in every) / len(every),
        accuracy=sum(reply.right for reply in every) / len(every),
        length=sum(len(reply.ids) for reply in every) / len(every),
        mixed=float((scores.std(1) > 0).float().mean()),
    )


def learn(
    model: Qwen3VLForConditionalGeneration,
    reference: Qwen3VLForConditionalGeneration | None,
    steps: torch.optim.Optimizer,
    of: Book,
    tasks: Sequence[Task],
    replies: Sequence[Sequence[Reply]],
    advantage: torch.Tensor,
) -> None:
    """One update from replies with their advantages (prompts, replies)."""
    tokens = sum(len(reply.ids) for own in replies for reply in own)
    # Sequences of like length lie together, so that little is padded.
    order = sorted(range(len(tasks)), key=lambda place: sum(len(reply.ids) for reply in replies[place]))
    steps.zero_grad(set_to_none=True)
    for first in range(0, len(order), _MICRO_BATCH):
        chosen = order[first : first + _MICRO_BATCH]
        prompts = [of.prompt(tasks[place]) for place in chosen]
        said = [[reply.ids for reply in replies[place]] for place in chosen]
        own = torch.cat(
            [
                advantage[place, j].expand(len(ids))
                for place, ids_of in zip(chosen, said, strict=True)
                for j, ids in enumerate(ids_of)
            ]
        )
        before = None
        if reference is not None:
            with torch.no_grad():
                before = packed.log_probs(reference, prompts, said)
        (loss(packed.log_probs(model, prompts, said), before, own).sum() / tokens).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
    steps.step()
