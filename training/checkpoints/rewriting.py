"""Whole weights from a checkpoint that verl saved: adapters merged, float32 rounded to bfloat16.

Run as `python -m training.checkpoints.rewriting SOURCE TARGET SCALE DTYPE`; prints the bytes of all weights.

verl saves adapters under PEFT's names beside the unchanged weights. A weight W becomes W + scale x B A in W's type
(LoRA, Hu et al. 2021, arXiv 2106.09685, section 4.1), with scale = `lora_alpha` / `lora_rank`. Names become those of
published checkpoints, which transformers does not restore behind PEFT's prefix.

Rounding is stochastic (Gupta et al. 2015, arXiv 1502.02551, section 3), so weights and their sums are unbiased.
Rounding to nearest would undo most of a stage: bfloat16 values around 0.02 are 0.00012 apart, and 90 steps at a
learning rate of 1e-6 move a weight by about 0.00001. Values that bfloat16 represents exactly, such as frozen weights,
do not change.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.core_model_loading import revert_weight_conversion

INDEX = "model.safetensors.index.json"
_MODEL, _BASE = "base_model.model.", ".base_layer"
_DOWN, _UP = ".lora_A.default.weight", ".lora_B.default.weight"
#: The bits of a float32 that bfloat16 lacks.
_LOW = 16


def rewrite(source: Path, target: Path, scale: float = 0.0, dtype: str = "float32") -> int:
    """Write a checkpoint's weights into files of the same names in `target`, and return their bytes.

    Files are processed one at a time. `scale` is 0 without adapters. The `dtype` "bfloat16" rounds float32 weights,
    reproducibly, because the generator is seeded by a weight's name.

    Raises:
        ValueError: there are adapters and `scale` is 0, or there are none and it is not.
    """
    where = located(source)
    if any(name.endswith(_UP) for name in where) != bool(scale):
        raise ValueError(f"{source} has {'no ' if scale else ''}adapters, and their scale is {scale:g}")
    model = _skeleton(source) if scale else None
    total, files = 0, dict[str, str]()
    for path in sorted(set(where.values())):
        tensors = {name: _narrow(name, value, dtype) for name, value in _merged(path, where, scale, model)}
        if tensors:  # a file may hold only adapters
            save_file(tensors, target / path.name, metadata={"format": "pt"})
        total += sum(value.nbytes for value in tensors.values())
        files |= dict.fromkeys(tensors, path.name)
    if (source / INDEX).is_file():
        index = json.loads((source / INDEX).read_text(encoding="utf-8"))
        index["metadata"] = index.get("metadata", {}) | {"total_size": total}
        text = json.dumps(index | {"weight_map": files}, indent=2)
        (target / INDEX).write_text(text + "\n", encoding="utf-8")
    return total


def rounded(values: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """A float32 tensor stochastically rounded to bfloat16; infinities and NaN are kept."""
    noise = torch.randint(0, 1 << _LOW, values.shape, dtype=torch.int32, generator=random)
    # The probability of a carry into the kept bits is the value of the low bits; the sign bit is not affected.
    bits = (values.contiguous().view(torch.int32) + noise) & -(1 << _LOW)
    up = bits.view(torch.float32).to(torch.bfloat16)
    return torch.where(torch.isfinite(values) & torch.isfinite(up), up, values.to(torch.bfloat16))


def located(folder: Path) -> dict[str, Path]:
    """Tensor name -> the safetensors file that holds it."""
    where: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            where |= dict.fromkeys(file.keys(), path)
    return where


def read(where: Mapping[str, Path], name: str) -> torch.Tensor:
    """One tensor of the files that `located` found."""
    with safe_open(where[name], framework="pt") as file:
        value: torch.Tensor = file.get_tensor(name)
    return value


def _narrow(name: str, value: torch.Tensor, dtype: str) -> torch.Tensor:
    if dtype != "bfloat16" or value.dtype != torch.float32:
        return value
    seed = int.from_bytes(sha256(name.encode()).digest()[:6], "big")
    return rounded(value, torch.Generator().manual_seed(seed))


def _skeleton(folder: Path) -> Any:
    """The model on the meta device, which knows the names its checkpoints use."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))


def _merged(path: Path, where: Mapping[str, Path], scale: float, model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights in one file with adapters merged; given a `model`, under the names its checkpoints use."""
    for name in (name for name, place in where.items() if place == path):
        if name.endswith((_DOWN, _UP)):
            continue
        value, layer = read(where, name), name.removesuffix(".weight").removesuffix(_BASE)
        if layer + _UP in where and name.endswith(f"{_BASE}.weight"):
            down, up = read(where, layer + _DOWN), read(where, layer + _UP)
            value = (value.float() + scale * (up.float() @ down.float())).to(value.dtype)
        if model is None:
            yield name, value
        else:
            named = {name.removeprefix(_MODEL).replace(_BASE, ""): value}
            yield from revert_weight_conversion(model, named).items()


if __name__ == "__main__":
    print(rewrite(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
