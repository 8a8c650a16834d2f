"""Check that a checkpoint is safe to load: complete safetensors files and no code.

Only the headers are read and compared with the files' sizes; no tensor is loaded.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from capcurriculum.errors import HubError
from capcurriculum.files import json_file

INDEX = "model.safetensors.index.json"
_CONFIG = "config.json"
#: The files published beside the weights; all others stay local.
_DESCRIPTION = frozenset(
    {
        _CONFIG, INDEX, "generation_config.json", "preprocessor_config.json", "processor_config.json",
        "video_preprocessor_config.json", "image_processor_config.json", "chat_template.jinja", "chat_template.json",
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "vocab.txt", "merges.txt", "LICENSE", "LICENSE.txt", "NOTICE",
    }
)  # fmt: skip
#: Code, and weights that can run code when they are loaded.
_UNSAFE = re.compile(r".*\.(?:bin|pt|pth|ckpt|pkl|pickle|npy|npz|h5|msgpack|joblib|py|so|sh)")
_MAX_BYTES = 100_000_000


def check(folder: Path) -> list[Path]:
    """The files of a checkpoint that are published.

    Raises:
        HubError: `folder` is no checkpoint, or a file of it is damaged or unsafe to load.
    """
    if not folder.is_dir():
        raise HubError(f"There is no folder {folder}; name a checkpoint such as runs/demo/training/visual/checkpoint.")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if unsafe := [path.name for path in files if _UNSAFE.fullmatch(path.name)]:
        raise HubError(
            f"{folder} holds {', '.join(unsafe[:3])}, which can run code when loaded; export the model as safetensors "
            "and publish that folder."
        )
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights or not (folder / _CONFIG).is_file():
        raise HubError(f"{folder} has no {_CONFIG} with *.safetensors; it is no checkpoint to publish.")
    for path in files:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise HubError(f"{path} is a link that leads out of its folder; put the file itself there.")
    _check_config(folder / _CONFIG)
    _check_index(folder, {path.name: set(_tensors(path)) for path in weights})
    return [path for path in files if path in weights or path.name in _DESCRIPTION]


def read_json(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file.

    Raises:
        HubError: the file is unreadable, holds no object, or has more than 100 MB.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        value = json_file.read(path)
    except (OSError, ValueError, RecursionError) as error:
        raise HubError(f"{path} cannot be read ({' '.join(str(error).split())[:200]}).") from error
    if not isinstance(value, dict):
        raise HubError(f"{path} must hold one JSON object.")
    return value


def _check_config(path: Path) -> None:
    config = read_json(path)
    if "auto_map" in config:
        raise HubError(
            f"{path} names code of its own (auto_map), which users would have to trust; publish a model that "
            "transformers has."
        )
    if not config.get("architectures") and not config.get("model_type"):
        raise HubError(f"{path} names no architecture and no model_type; it is no model's configuration.")


def _check_index(folder: Path, found: Mapping[str, set[str]]) -> None:
    """Several files need an index that maps each tensor to its file."""
    indexed = (folder / INDEX).is_file()
    if len(found) == 1 and not indexed:
        return
    listed = read_json(folder / INDEX).get("weight_map") if indexed else None
    if not isinstance(listed, dict):
        raise HubError(f"{folder} has several safetensors files and no {INDEX} that says what is where.")
    if wrong := [name for name, file in listed.items() if name not in found.get(str(file), ())]:
        raise HubError(f"{folder / INDEX} names {len(wrong)} tensors that are not there, the first is {wrong[0]!r}.")
    if extra := sorted(set().union(*found.values()) - set(listed)):
        raise HubError(f"{folder / INDEX} does not name {len(extra)} tensors, the first is {extra[0]!r}.")


def _tensors(path: Path) -> Iterator[str]:
    """Names of the tensors, after a check of the file's length.

    The format is 8 bytes of header length, a JSON header with offsets relative to its end, and the tensors' bytes
    without gaps (https://huggingface.co/docs/safetensors).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_BYTES, size - 8):
            raise HubError(f"{path} is no safetensors file, or was cut short; export the model again.")
        try:
            header = json_file.loads(file.read(length))
            ends = [int(one["data_offsets"][1]) for name, one in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError) as error:
            raise HubError(f"{path} has a damaged header; export the model again.") from error
    if not ends or max(ends) != size - 8 - length:
        raise HubError(f"{path} is not as long as its header says; export the model again.")
    yield from (name for name in header if name != "__metadata__")
