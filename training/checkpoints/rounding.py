"""Weights in float32 as bfloat16, each rounded up or down by chance.

Run as `python -m training.checkpoints.rounding SOURCE TARGET SCALE`.

Rounded to the nearest value nearly nothing would be left of a stage: parents are bfloat16, whose values around 0.02 are
0.00012 apart, and 90 steps at a learning rate of 1e-6 move a weight by some 0.00001, so that it would get its old value
back. Rounded with a chance that is its distance (Gupta et al. 2015, arXiv 1502.02551, section 3), a weight is right on
the mean, and so is what is summed over many weights. Values that bfloat16 has, as those of frozen weights, stay as they
are.
"""

import sys
from hashlib import sha256
from pathlib import Path

import torch

from training.checkpoints import merging

#: The bits of a float32 that bfloat16 lacks.
_LOW = 16


def rounded(values: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """A float32 tensor as bfloat16, rounded by chance; what is not finite stays so."""
    noise = torch.randint(0, 1 << _LOW, values.shape, dtype=torch.int32, generator=random)
    # Adding to the low bits carries into the kept ones as often as the low bits are large; the sign bit is apart.
    bits = (values.contiguous().view(torch.int32) + noise) & -(1 << _LOW)
    up = bits.view(torch.float32).to(torch.bfloat16)
    return torch.where(torch.isfinite(values) & torch.isfinite(up), up, values.to(torch.bfloat16))


def round_folder(source: Path, target: Path, scale: float = 0.0) -> int:
    """Write the weights of a checkpoint into files of the same names, adapters of that scale merged (`merging`).

    Returns the bytes of all weights. Chance is drawn by a tensor's name alone, so the same weights give the same files.
    """

    def narrow(name: str, value: torch.Tensor) -> torch.Tensor:
        if value.dtype != torch.float32:
            return value
        seed = int.from_bytes(sha256(name.encode()).digest()[:6], "big")
        return rounded(value, torch.Generator().manual_seed(seed))

    return merging.rewrite(source, target, scale, narrow)


if __name__ == "__main__":
    round_folder(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
