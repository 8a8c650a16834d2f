"""Muon in float32: momentum whose matrices are orthogonalised before they are applied.

`torch.optim.Muon` runs its Newton-Schulz iteration in bfloat16, which is several times slower than float32 on CPUs
without bfloat16 units; here it runs in float32, and matrices of one shape go through it together.
"""

from collections.abc import Iterable

import torch

#: Quintic Newton-Schulz coefficients of Keller Jordan's Muon.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5


def orthogonalised(batch: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrices, roughly, to those in `batch` of shape (n, rows, columns)."""
    tall = batch.size(1) > batch.size(2)
    x = batch.mT if tall else batch
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled so that a step moves weights about as far as Adam's would."""

    def __init__(
        self, params: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Apply one update to every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                self._apply(weights, group, 0.2 * max(shape) ** 0.5)

    def _apply(self, weights: list[torch.Tensor], group: dict[str, float], scale: float) -> None:
        directions = []
        for weight in weights:
            average = self.state[weight].setdefault("average", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - group["momentum"])
            directions.append(weight.grad.lerp(average, group["momentum"]))
        for weight, update in zip(weights, orthogonalised(torch.stack(directions)), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update, alpha=-group["lr"] * scale)
