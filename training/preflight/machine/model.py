"""The numbers of a checkpoint that the estimates need, from its configuration and the headers of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from capcurriculum.files import json_file
from capcurriculum.recipe.training import LoraModule
from training.on_verl import lora
from training.preflight.machine import weights

#: Prefix of the draft model's weights, which transformers does not load.
_DRAFT = "mtp."


@dataclass(frozen=True, slots=True)
class ModelSize:
    """`parameters` of all towers, without Qwen3.5's draft model; the other sizes are the text model's, None if unknown.

    `words` is the vocabulary, `tied` whether the embeddings are also the output layer, `attending` the number of layers
    with keys and values (layers of linear attention have none). `linear` maps the names of linear layers, such as
    q_proj, to the sum of their inputs and outputs over the language model.
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
    linear: Mapping[str, int] = field(default_factory=dict)
    attending: int | None = None


def model_size(folder: Path) -> ModelSize | None:
    """The size of a checkpoint; None if it has no weights or no readable configuration."""
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
    layers, types = _number(text, "num_hidden_layers"), text.get("layer_types")
    return ModelSize(
        parameters=sum(tensor.parameters for name, tensor in found.items() if not name.startswith(_DRAFT)),
        hidden=hidden,
        inner=_number(text, "intermediate_size"),
        layers=layers,
        words=_number(text, "vocab_size"),
        kv_heads=_number(text, "num_key_value_heads") or heads,
        head=head,
        positions=_number(text, "max_position_embeddings"),
        heads=heads,
        attending=sum(one != "linear_attention" for one in types) if isinstance(types, list) else layers,
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        linear={
            module: sum(sum(found[name].shape) for name in lora.adapted(found, [module]))
            for module in get_args(LoraModule)
        },
    )


def _number(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) else None
