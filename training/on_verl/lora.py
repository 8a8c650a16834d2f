"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685) in the language model, trained in place of its weights.

verl sends vLLM the adapters beside the weights it loaded, and vLLM applies them in the language model alone. Adapters
elsewhere are therefore excluded: rollouts would come from another model than the trained one. verl saves adapters
separately; `checkpoints.rewriting` merges them, so every checkpoint of a chain is a whole model.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from training.knobs import Knobs
from training.on_verl.freeze import VISION, expression


def adapted(names: Iterable[str], modules: Sequence[str]) -> list[str]:
    """The weights of a checkpoint that get adapters; its files do not name the language model as PEFT sees it."""
    ends = tuple(f".{module}.weight" for module in modules)
    return [name for name in names if name.endswith(ends) and not re.search(VISION, name)]


def frozen(knobs: Knobs) -> str:
    """A regular expression that finds the names of all weights a stage must not change; "" if it may change all."""
    if not knobs.lora_rank:
        return expression(knobs.freeze)
    return f"{VISION}|^(?!.*[.]({'|'.join(knobs.lora_modules)})[.]weight$)"


def keys(knobs: Knobs, model: str) -> dict[str, Any]:
    """verl's keys below its section `model`; rank 0 disables adapters."""
    return {
        f"{model}.lora_rank": knobs.lora_rank,
        f"{model}.lora_alpha": knobs.lora_alpha,
        f"{model}.target_modules": knobs.lora_targets,
    }


def check(names: Sequence[str], knobs: Knobs) -> None:
    """Check that the model has the layers that get adapters, and that none of them is frozen.

    Raises:
        ValueError: it has none, or one is.
    """
    if not knobs.lora_rank:
        return
    found = adapted(names, knobs.lora_modules)
    if not found:
        raise ValueError(f"lora_modules names {', '.join(knobs.lora_modules)}, and its model has no such layers")
    held = [name for name in found if knobs.freeze and re.search(expression(knobs.freeze), name)]
    if held:
        raise ValueError(
            f"freeze: {knobs.freeze!r} holds {len(held)} weights that get adapters, as {held[0]}; adapters leave all "
            f"other weights as they are, so leave freeze out or name fewer lora_modules"
        )
