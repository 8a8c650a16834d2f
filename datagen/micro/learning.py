"""One step of learning, and probes that show early whether a run lives.

Losses count the taught passages only, and output logits are computed for those alone, which with short replies is most
of what a vocabulary costs. Embeddings, norms and biases learn by AdamW, hidden matrices by Muon.
"""

import ctypes
import ctypes.util
from collections.abc import Sequence
from random import Random

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from datagen.micro import noisy, tasks
from datagen.micro.batches import Batch, Encoder, collate
from datagen.micro.muon import Muon
from datagen.micro.render import SIDE, pixels

#: Rows a batch, by task: about equal numbers of tokens, since texts of one task are about equally long.
ROWS: dict[str, int] = {
    "from_image": 48, "from_caption": 32, "blind": 48, "text": 64, "visual": 48, "teach": 32, "caption": 48,
    "interview_image": 28, "interview_caption": 24, "lookup": 48, "reading": 32,
    "noisy_from_image": 48, "noisy_text": 64, "noisy_visual": 48, "noisy_visual_choice": 48,
}  # fmt: skip
_MAKERS = {**tasks.TASKS, **tasks.FURTHER, **noisy.TASKS}
_SINGLE_WORD = 3
#: Parameters of glibc's `mallopt`.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1


def teaching(tokenizer: PreTrainedTokenizerFast) -> tasks.Teaching:
    """What row makers need of a tokenizer."""

    def chat(messages: list[dict[str, object]]) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    texts = sorted(tokenizer.convert_tokens_to_string([token]) for token in tokenizer.get_vocab())
    words = [text[1:] for text in texts if text.startswith(" ") and text[1:].isalpha() and len(text) > _SINGLE_WORD]
    return tasks.Teaching(chat, words)


def quicken(model: Qwen3VLForConditionalGeneration) -> None:
    """Make training on a CPU about a quarter faster, with the same results.

    Patches are embedded by a matrix product instead of a three-dimensional convolution whose backward is slow, and
    glibc keeps freed memory: otherwise each large tensor is mapped anew and the time goes into page faults.
    """
    embed = model.model.visual.patch_embed
    proj = embed.proj
    embed.forward = lambda patches: functional.linear(patches, proj.weight.flatten(1), proj.bias)
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6")
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 32 * 2**20 - 1)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


class Rows:
    """An endless stream of batches of any task, from one seed."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.encoder = Encoder(tokenizer)
        self.teaching = teaching(tokenizer)
        self.rng = Random(seed)

    def batch(self, task: str, difficulty: tuple[float, float] = (1.0, 1.0), rows: int | None = None) -> Batch:
        """A new batch; each image's difficulty is uniform in the range given."""
        made = [_MAKERS[task](self.teaching, self.rng) for _ in range(rows or ROWS[task])]
        shown = [row.shown for row in made if row.shown is not None]
        pictures = np.stack([pixels(s, 0, self.rng.uniform(*difficulty)) for s in shown]) if shown else None
        return collate(self.encoder, made, pictures)


def taught_logits(
    model: Qwen3VLForConditionalGeneration, batch: Batch, image_token: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, vocabulary) and targets (n) of the taught tokens."""
    seen: dict[str, torch.Tensor] = {}
    if batch.patches is not None:
        side = SIDE // model.config.vision_config.patch_size
        grids = torch.tensor([[1, side, side]]).expand(batch.ids.size(0), -1)
        # All rows of a task place their image alike, so positions of the first row are those of all.
        first = batch.ids[:1]
        kinds = (first == image_token).int()
        positions, _ = model.model.get_rope_index(first, image_grid_thw=grids[:1], mm_token_type_ids=kinds)
        seen = {
            "pixel_values": batch.patches,
            "image_grid_thw": grids,
            "position_ids": positions.expand(-1, batch.ids.size(0), -1),
        }
    states = model.model(input_ids=batch.ids, use_cache=False, **seen).last_hidden_state
    told = batch.said[:, 1:]
    return model.lm_head(states[:, :-1][told]), batch.ids[:, 1:][told]


def loss(model: Qwen3VLForConditionalGeneration, batch: Batch, image_token: int) -> torch.Tensor:
    """Mean cross-entropy of the taught tokens."""
    logits, targets = taught_logits(model, batch, image_token)
    return functional.cross_entropy(logits, targets)


def optimisers(
    model: Qwen3VLForConditionalGeneration, muon_lr: float, adam_lr: float
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for the rest; each weight in exactly one of them."""
    hidden: list[torch.Tensor] = []
    rest: list[torch.Tensor] = []
    for name, weight in model.named_parameters():
        matrix = weight.ndim == 2 and "embed" not in name and "lm_head" not in name
        (hidden if matrix else rest).append(weight)
    return (
        Muon(hidden, lr=muon_lr, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
    )


@torch.no_grad()
def probe(
    model: Qwen3VLForConditionalGeneration,
    rows: Rows,
    names: Sequence[str],
    difficulty: tuple[float, float] = (1.0, 1.0),
) -> dict[str, tuple[float, float]]:
    """By task: share of taught tokens that are predicted right, and of taught letters (nan if it teaches none)."""
    letters = torch.tensor([rows.encoder.ids(f" {letter}")[0] for letter in "ABCD"])
    found: dict[str, tuple[float, float]] = {}
    for name in names:
        logits, targets = taught_logits(model, rows.batch(name, difficulty), rows.encoder.image)
        right = (logits.argmax(-1) == targets).float()
        found[name] = (right.mean().item(), right[torch.isin(targets, letters)].mean().item())
    return found
