"""Whole weights from a checkpoint with adapters: `python -m training.checkpoints.merging SOURCE TARGET SCALE`.

verl saves a model with adapters under PEFT's names: the weights as they were, and beside those of an adapted layer the
two factors of its adapter. A layer's weight becomes W + scale x B A (LoRA, Hu et al. 2021, arXiv 2106.09685, section
4.1), in the type of W; every other weight stays as it is, bit for bit. Scale is `lora_alpha` / `lora_rank`.

Names become those of the published checkpoints again: Transformers changes them as it loads some models (Qwen2.5-VL)
and restores them as it saves, but not behind PEFT's prefix.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
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


def rewrite(
    source: Path, target: Path, scale: float, change: Callable[[str, torch.Tensor], torch.Tensor] | None = None
) -> int:
    """Write the weights of a checkpoint's files, one file after the other, each into one of the same name.

    Returns the bytes of all weights. `change` makes what is written of a tensor's name and value.

    Raises:
        ValueError: there are adapters and `scale` is 0, or there are none and it is not.
    """
    where = _located(source)
    if any(name.endswith(_UP) for name in where) != bool(scale):
        raise ValueError(f"{source} has {'no ' if scale else ''}adapters, and their scale is {scale:g}")
    model = _skeleton(source) if scale else None
    total, places = 0, dict[str, str]()
    for path in sorted(set(where.values())):
        tensors = {name: change(name, value) if change else value for name, value in _whole(path, where, scale, model)}
        if tensors:  # a file may hold adapters alone
            save_file(tensors, target / path.name, metadata={"format": "pt"})
        total += sum(value.nbytes for value in tensors.values())
        places |= dict.fromkeys(tensors, path.name)
    if (source / INDEX).is_file():
        index = json.loads((source / INDEX).read_text(encoding="utf-8"))
        index["metadata"] = index.get("metadata", {}) | {"total_size": total}
        text = json.dumps(index | {"weight_map": places}, indent=2)
        (target / INDEX).write_text(text + "\n", encoding="utf-8")
    return total


def _skeleton(folder: Path) -> Any:
    """The model without weights, which knows how its names are written."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))


def _whole(path: Path, where: Mapping[str, Path], scale: float, model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights in one file, without adapters; with a `model`, by the names that its checkpoints have."""
    for name in (name for name, place in where.items() if place == path):
        if name.endswith((_DOWN, _UP)):
            continue
        value, layer = _read(where, name), name.removesuffix(".weight").removesuffix(_BASE)
        if layer + _UP in where and name.endswith(f"{_BASE}.weight"):
            down, up = _read(where, layer + _DOWN), _read(where, layer + _UP)
            value = (value.float() + scale * (up.float() @ down.float())).to(value.dtype)
        if model is None:
            yield name, value
        else:
            named = {name.removeprefix(_MODEL).replace(_BASE, ""): value}
            yield from revert_weight_conversion(model, named).items()


def _located(folder: Path) -> dict[str, Path]:
    where: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            where |= dict.fromkeys(file.keys(), path)
    return where


def _read(where: Mapping[str, Path], name: str) -> torch.Tensor:
    with safe_open(where[name], framework="pt") as file:
        value: torch.Tensor = file.get_tensor(name)
    return value


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
