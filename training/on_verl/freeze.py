"""Keep some of a model's weights as they are while the rest is trained.

verl 0.9.1 accepts `actor.freeze_vision_tower` and ignores it, so the freeze goes in between its loading of the model
and its sharding: what is frozen there has no gradient and never reaches the optimizer, under FSDP1 and FSDP2 alike. The
trainer's processes import `training.on_verl.freeze_hook` because the configuration names it as the model's
`external_lib`, and find the expression in the environment that Ray carries to every node.
"""

import os
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import

#: The environment variable that holds the expression.
VARIABLE = "CAPCURRICULUM_FREEZE"
#: The module that the trainer's processes import.
HOOK = "training.on_verl.freeze_hook"
#: What `freeze: vision` stands for: the vision encoder as Qwen-VL and InternVL name it, Qwen's merger included.
VISION = r"(^|\.)(visual|vision_tower|vision_model)\."
_ENGINE = "verl.workers.engine.fsdp.transformer_impl"


def expression(freeze: str) -> str:
    """The regular expression of a `freeze` knob; "" freezes nothing."""
    return VISION if freeze == "vision" else freeze


def chosen(names: Sequence[str], freeze: str) -> list[str]:
    """The names in which the expression is found.

    Raises:
        ValueError: it is found in none, or in all of them.
    """
    found = [name for name in names if re.search(expression(freeze), name)]
    if not found or len(found) == len(names):
        which = "all" if found else "none"
        raise ValueError(
            f"freeze: {freeze!r} is found in {which} of the model's {len(names)} parameters, "
            f"whose names are like {', '.join([*names[:1], *names[-1:]])}"
        )
    return found


def install() -> None:
    """Have verl's FSDP engine freeze what the environment says, whenever it is imported."""
    freeze = os.environ.get(VARIABLE, "")
    if not freeze:
        raise RuntimeError(f"{VARIABLE} is not set in this process, and a stage with frozen weights must not go on.")
    after_import(_ENGINE, lambda module: _patch(module, freeze))


def _patch(module: ModuleType, freeze: str) -> None:
    engine = module.FSDPEngine
    build_module, build_optimizer = engine._build_module, engine._build_optimizer

    def _build_module(self: Any) -> Any:
        model = build_module(self)
        if not self.engine_config.forward_only:
            _freeze(model, freeze, speak=self.rank == 0)
        return model

    def _build_optimizer(self: Any, model: Any) -> Any:
        return build_optimizer(self, _Trained(model))

    engine._build_module, engine._build_optimizer = _build_module, _build_optimizer


def _freeze(model: Any, freeze: str, speak: bool) -> None:
    parameters = dict(model.named_parameters())
    frozen = chosen(list(parameters), freeze)
    for name in frozen:
        parameters[name].requires_grad_(False)
    if speak:
        numbers = sum(parameters[name].numel() for name in frozen)
        of = sum(parameter.numel() for parameter in parameters.values())
        print(f"freeze: {freeze!r} holds {len(frozen)} of {len(parameters)} tensors, {numbers:,} of {of:,} numbers")


class _Trained:
    """A model as the optimizer is to see it."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def parameters(self) -> list[Any]:
        return [parameter for parameter in self._model.parameters() if parameter.requires_grad]
