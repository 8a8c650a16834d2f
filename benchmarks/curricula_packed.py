"""Several replies to one prompt in one sequence, so that a prompt is computed once: sampling, and log-probabilities.

A prompt and its replies lie behind each other. A token sees the prompt and what stands before it in its own reply, and
its position is the one that it has in a conversation of its own, so every number is that of separate sequences (a test
compares the two). With prompts as long as replies and eight replies this takes a third of the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import DynamicCache, Qwen3VLForConditionalGeneration

from datagen.micro.render import SIDE

#: The most tokens of a reply, its end mark included, as in `training/backbones/micro.yaml`.
LIMIT = 96


@dataclass(frozen=True, slots=True)
class Prompt:
    """`ids` of the whole prompt, `positions` (3, length) of its tokens, and its picture's `patches` (36, 1536)."""

    ids: list[int]
    positions: torch.Tensor
    patches: torch.Tensor | None

    @property
    def after(self) -> int:
        """The position of the first token of a reply."""
        return int(self.positions.max()) + 1


def _pictures(model: Qwen3VLForConditionalGeneration, prompts: Sequence[Prompt]) -> dict[str, torch.Tensor]:
    shown = [prompt.patches for prompt in prompts if prompt.patches is not None]
    if not shown:
        return {}
    side = SIDE // model.config.vision_config.patch_size
    return {"pixel_values": torch.cat(shown), "image_grid_thw": torch.tensor([[1, side, side]] * len(shown))}


def _padded(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _positions(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows of (3, length) as (3, rows, longest)."""
    return _padded([row.T for row in rows], 0).permute(2, 0, 1)


def log_probs(
    model: Qwen3VLForConditionalGeneration, prompts: Sequence[Prompt], replies: Sequence[Sequence[Sequence[int]]]
) -> torch.Tensor:
    """Log-probabilities of every reply's tokens, one after the other: those of the first prompt's first reply first.

    Args:
        model: in the mode that is wanted; gradients flow.
        prompts: any number.
        replies: for each prompt its replies' token ids, at least one token each.
    """
    ids, positions, owners, before = [], [], [], []
    for prompt, own in zip(prompts, replies, strict=True):
        length, sizes = len(prompt.ids), torch.tensor([len(reply) for reply in own])
        ids.append(torch.tensor([*prompt.ids, *(token for reply in own for token in reply)]))
        steps = torch.cat([torch.arange(int(size)) for size in sizes])
        positions.append(torch.cat([prompt.positions, (prompt.after + steps).expand(3, -1)], dim=1))
        owners.append(
            torch.cat([torch.zeros(length, dtype=torch.long), torch.arange(len(own)).repeat_interleave(sizes) + 1])
        )
        # Whose state says a token: the one before it, for a reply's first token the prompt's last.
        places = length + torch.arange(int(sizes.sum()))
        before.append(torch.where(steps == 0, length - 1, places - 1))
    tokens, owner = _padded(ids, 0), _padded(owners, -1)
    place = torch.arange(tokens.size(1))
    same = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    seen = (same & (place[None, :] <= place[:, None]))[:, None]
    states = model.model(
        input_ids=tokens,
        attention_mask=seen,
        position_ids=_positions(positions),
        use_cache=False,
        **_pictures(model, prompts),
    ).last_hidden_state
    row = torch.arange(len(before)).repeat_interleave(torch.tensor([len(one) for one in before]))
    logits = model.lm_head(states[row, torch.cat(before)])
    targets = tokens[owner > 0]
    return -functional.cross_entropy(logits, targets, reduction="none")


@torch.inference_mode()
def sample(
    model: Qwen3VLForConditionalGeneration, prompts: Sequence[Prompt], draws: torch.Tensor, end: int
) -> list[list[list[int]]]:
    """Replies at temperature 1: for each prompt as many lists of token ids as `draws` has for it.

    As in verl, no reply holds the image's placeholder, behind which there would be no picture.

    Args:
        model: in evaluation mode.
        prompts: any number.
        draws: uniform numbers (prompts, replies, tokens at most), one a token; the same draws and the same
            probabilities give the same reply.
        end: the token that ends a reply; it is part of it, unless the reply was cut off.
    """
    count, replies, limit = draws.shape
    lengths = torch.tensor([len(prompt.ids) for prompt in prompts])
    tokens = _padded([torch.tensor(prompt.ids) for prompt in prompts], end)
    place = torch.arange(tokens.size(1))
    real = place[None, :] < lengths[:, None]
    cache = DynamicCache(config=model.config)
    states = model.model(
        input_ids=tokens,
        attention_mask=(real[:, None, :] & (place[None, :] <= place[:, None]))[:, None],
        position_ids=_positions([prompt.positions for prompt in prompts]),
        past_key_values=cache,
        use_cache=True,
        **_pictures(model, prompts),
    ).last_hidden_state[torch.arange(count), lengths - 1]
    logits = model.lm_head(states)[:, None].repeat(1, replies, 1)
    after = torch.tensor([prompt.after for prompt in prompts])
    said = torch.full((count, replies, limit), -1)
    alive, active = torch.ones(count, replies, dtype=torch.bool), torch.arange(count)
    for step in range(limit):
        logits[..., model.config.image_token_id] = -torch.inf
        chosen = _drawn(logits, draws[active, :, step])
        said[active, :, step] = torch.where(alive, chosen, -1)
        alive &= chosen != end
        if not alive.any() or step == limit - 1:
            break
        going = alive.any(1)
        if int(going.sum()) <= 0.75 * len(active):  # prompts whose replies have all ended are left out
            cache.batch_select_indices(going.nonzero()[:, 0])
            alive, active, real, chosen = alive[going], active[going], real[going], chosen[going]
        own = torch.eye(replies, dtype=torch.bool).repeat(1, step + 1)[None].expand(len(active), -1, -1)
        states = model.model(
            input_ids=chosen,
            attention_mask=torch.cat([real[:, None].expand(-1, replies, -1), own], dim=2)[:, None],
            position_ids=(after[active] + step)[None, :, None].expand(3, -1, replies),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        logits = model.lm_head(states)
    return [[[token for token in reply if token >= 0] for reply in own] for own in said.tolist()]


def _drawn(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The tokens in whose share of the distribution the uniform numbers fall."""
    reached = logits.softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(reached, (uniform * reached[..., -1])[..., None].contiguous())[..., 0]
    return drawn.clamp_(max=logits.size(-1) - 1)
