"""Draw tokens so that a request's reply does not depend on its neighbours.

Taking the largest of logits plus Gumbel noise is the same as drawing from the softmax (the Gumbel-max trick), so each
row gets noise from a generator seeded by its own request key, and greedy decoding of the noisy scores is a
reproducible sample.
"""

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from capcurriculum.rows import Sampling


class SeededSampling(LogitsProcessor):
    """Turns greedy search into a seeded draw, one generator a row.

    Args:
        keys: the request keys, in the order of the batch's rows.
        sampling: shared by the whole batch; temperature 0 leaves the scores alone.
    """

    def __init__(self, keys: Sequence[str], sampling: Sampling) -> None:
        self.sampling = sampling
        self.generators = [torch.Generator().manual_seed(int(key, 16) & 0x7FFF_FFFF_FFFF_FFFF) for key in keys]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of shape (batch, vocabulary) whose largest entry is the drawn token."""
        if self.sampling.temperature == 0:
            return scores
        scores = truncate(scores.float() / self.sampling.temperature, self.sampling)
        noise = torch.stack(
            [torch.empty(scores.shape[1]).exponential_(generator=generator) for generator in self.generators]
        )
        return scores - noise.log().to(scores.device)


def truncate(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Remove (set to minus infinity) what top-k and then top-p leave out; shape (batch, vocabulary)."""
    if 0 < sampling.top_k < scores.shape[1]:
        floor = scores.topk(sampling.top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < floor, -torch.inf)
    if sampling.top_p < 1:
        ordered, index = scores.sort(dim=1, descending=True)
        before = ordered.softmax(dim=1).cumsum(dim=1) - ordered.softmax(dim=1)
        ordered = ordered.masked_fill(before >= sampling.top_p, -torch.inf)
        scores = torch.full_like(scores, -torch.inf).scatter(1, index, ordered)
    return scores
