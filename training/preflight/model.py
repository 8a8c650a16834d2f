"""The few numbers of a checkpoint that estimates need, from its configuration and the headers of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum import json_file
from training.preflight import weights


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Parameters of all towers; the rest is of the text model. None where the configuration does not say.

    `tied` is whether the embeddings are the output layer too.
    """

    parameters: int
    hidden: int | None
    inner: int | None
    layers: int | None
    words: int | None
    kv_heads: int | None
    head: int | None
    positions: int | None
    heads: int | None = None
    tied: bool = False


def model_size(folder: Path) -> ModelSize | None:
    """The size of a checkpoint; None when it holds no weights or no readable configuration."""
    found, _ = weights.tensors(folder)
    try:
        config = json_file.read(folder / "config.json")
    except (OSError, ValueError):
        return None
    if not found or not isinstance(config, dict):
        return None
    text = config.get("text_config") or config
    heads, hidden = _number(text, "num_attention_heads"), _number(text, "hidden_size")
    head = _number(text, "head_dim") or (hidden // heads if hidden and heads else None)
    return ModelSize(
        parameters=sum(tensor.parameters for tensor in found.values()),
        hidden=hidden,
        inner=_number(text, "intermediate_size"),
        layers=_number(text, "num_hidden_layers"),
        words=_number(text, "vocab_size"),
        kv_heads=_number(text, "num_key_value_heads") or heads,
        head=head,
        positions=_number(text, "max_position_embeddings"),
        heads=heads,
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
    )


def _number(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) else None
