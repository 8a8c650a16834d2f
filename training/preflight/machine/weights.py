"""Whether a checkpoint holds the weights that its configuration describes, checked by the headers of its files.

The header of a safetensors file lists every tensor with its shape and byte offsets, so a truncated file, a missing
shard or a checkpoint of another model is found without reading weights. Format: huggingface/safetensors, "Format" in
its README.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.files import json_file
from training.on_verl.freeze import VISION

#: The format's limit on a header, in bytes.
_LONGEST_HEADER = 100_000_000
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_INDEX = "model.safetensors.index.json"
_TEXT_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's dtype, as the format spells it, and shape."""

    kind: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def tensors(folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    """(name -> tensor, faults) of a checkpoint folder."""
    found: dict[str, Tensor] = {}
    faults: list[str] = []
    where: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            header = _header(path)
        except ValueError as error:
            faults.append(f"{path.name} {error}")
            continue
        found |= header
        where |= dict.fromkeys(header, path.name)
    if not found and not faults:
        faults.append("there are no *.safetensors files with weights, only configuration and tokenizer at most")
    return found, faults + _index_faults(folder, where)


def faults(folder: Path) -> list[str]:
    """The faults of a checkpoint."""
    found, problems = tensors(folder)
    try:
        config = json_file.read(folder / "config.json")
    except FileNotFoundError:
        return [*problems, "config.json is missing"]
    except (OSError, ValueError) as error:
        return [*problems, f"config.json is damaged ({error})"]
    if not isinstance(config, dict):
        return [*problems, "config.json is no mapping"]
    return problems + (_shape_faults(found, config) if found else [])


def _header(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of one file.

    Raises:
        ValueError: it is not a safetensors file, or is truncated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise ValueError("is no safetensors file, or only its first bytes are there")
        header = json_file.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("has a header that is no mapping")
    header.pop("__metadata__", None)
    try:
        found = {name: (one["dtype"], tuple(one["shape"]), tuple(one["data_offsets"])) for name, one in header.items()}
        end = max((stop for _, _, (_, stop) in found.values()), default=0)
        odd = [
            name
            for name, (kind, shape, (begin, stop)) in found.items()
            if kind in _BITS and math.prod(shape) * _BITS[kind] != (stop - begin) * 8
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"has a header that cannot be read ({error})") from error
    if size != 8 + length + end:
        raise ValueError(f"has {size:,} bytes and its header promises {8 + length + end:,}; fetch it again")
    if odd:
        raise ValueError(f"has a header whose sizes do not fit its shapes, first at {odd[0]}")
    return {name: Tensor(kind, shape) for name, (kind, shape, _) in found.items()}


def _index_faults(folder: Path, where: Mapping[str, str]) -> list[str]:
    try:
        index = json_file.read(folder / _INDEX)["weight_map"].items()
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{_INDEX} is damaged ({type(error).__name__}: {error})"]
    absent = sorted({file for _, file in index if not (folder / str(file)).is_file()})
    if absent:
        return [f"{len(absent)} files that {_INDEX} names are missing, first {absent[0]}"]
    lost = [name for name, file in index if where.get(name) != file]
    return [f"{len(lost)} tensors are not where {_INDEX} says, first {lost[0]}"] if lost else []


def _shape_faults(found: Mapping[str, Tensor], config: Mapping[str, Any]) -> list[str]:
    """Sizes of the text and vision towers that contradict the configuration."""
    text = config.get("text_config") or config
    vision = config.get("vision_config") or {}
    seen = {name for name in found if re.search(VISION, name)}
    problems = _layer_faults("text", found.keys() - seen, _TEXT_LAYER, text.get("num_hidden_layers"))
    depth = vision.get("depth", vision.get("num_hidden_layers"))
    problems += _layer_faults("vision", seen, re.compile(r"\.(?:blocks|layers?)\.(\d+)\."), depth)
    hidden, words, inner = text.get("hidden_size"), text.get("vocab_size"), text.get("intermediate_size")
    expected = {"embed_tokens.weight": (words, hidden), "mlp.down_proj.weight": (hidden, inner)}
    for name, tensor in found.items():
        shape = next((shape for ending, shape in expected.items() if name.endswith(ending)), None)
        if shape is None or name in seen or None in shape or tensor.shape == shape:
            continue
        return [*problems, f"{name} has the shape {list(tensor.shape)}, and config.json describes {list(shape)}"]
    return problems


def _layer_faults(tower: str, names: Iterable[str], layer: re.Pattern[str], expected: object) -> list[str]:
    if not isinstance(expected, int):
        return []
    have = {int(match[1]) for name in names if (match := layer.search(name))}
    if have == set(range(expected)):
        return []
    return [f"it has {len(have)} {tower} layers, and config.json describes {expected}"]
