"""Rows of one task, as tensors.

Batches are padded on the right and carry no attention mask: attention is causal, so padding is never seen, and without
a mask the fast kernel runs. Patches are cut here the way the image processor cuts them (a test compares the two).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from datagen.micro.model import IMAGE_TOKENS, MERGE, PATCH
from datagen.micro.tasks import Row
from datagen.micro.tokenizer import IMAGE_PAD


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids` and `said` (which of them are taught), both (rows, length); `patches` (rows * 36, 1536) or None."""

    ids: torch.Tensor
    said: torch.Tensor
    patches: torch.Tensor | None


class Encoder:
    """Text to ids, remembering short passages."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.pad = int(tokenizer.convert_tokens_to_ids(tokenizer.pad_token))
        self.image = int(tokenizer.convert_tokens_to_ids(IMAGE_PAD))
        self._remembered = lru_cache(maxsize=50_000)(self._encode)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a passage."""
        return self._remembered(text) if len(text) < 80 else self._encode(text)

    def row(self, row: Row) -> tuple[list[int], list[bool]]:
        """Ids of a row and which of them are taught; an image's one token becomes as many as the model sees."""
        ids: list[int] = []
        said: list[bool] = []
        for text, taught in row.passages:
            piece = [i for token in self.ids(text) for i in ([token] * (IMAGE_TOKENS if token == self.image else 1))]
            ids += piece
            said += [taught] * len(piece)
        return ids, said


def patches(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Images (n, side, side, 3) as rows of patches (n * patches, 1536), in the image processor's order."""
    n, side = pictures.shape[:2]
    cells = side // (PATCH * MERGE)
    scaled = torch.from_numpy(pictures).float() / 127.5 - 1
    cut = scaled.view(n, cells, MERGE, PATCH, cells, MERGE, PATCH, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    still = cut.reshape(n * (side // PATCH) ** 2, 3, 1, PATCH * PATCH)
    # A still image is a film of two equal frames.
    return still.expand(-1, 3, 2, PATCH * PATCH).reshape(still.size(0), -1)


def collate(encoder: Encoder, rows: Sequence[Row], pictures: NDArray[np.uint8] | None) -> Batch:
    """One batch of rows that all show an image, or all show none."""
    encoded = [encoder.row(row) for row in rows]
    length = max(len(ids) for ids, _ in encoded)
    ids = torch.tensor([row + [encoder.pad] * (length - len(row)) for row, _ in encoded])
    said = torch.tensor([row + [False] * (length - len(row)) for _, row in encoded])
    return Batch(ids, said, None if pictures is None else patches(pictures))
