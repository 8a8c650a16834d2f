"""Freeze some of a model's weights while the rest is trained.

verl 0.9.1 accepts `actor.freeze_vision_tower` and ignores it. This patch freezes between verl's loading of the model
and its sharding: frozen weights have no gradient and never reach the optimizer, under FSDP1 and FSDP2. The trainer's
processes import `training.on_verl.freeze_hook`, which the configuration names as the model's `external_lib`, and read
the expression from an environment variable that Ray sets on every node.
"""

import os
import re
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from training.on_verl.patches.import_hooks import after_import, replaces

#: The environment variable that holds the expression.
VARIABLE = "CAPCURRICULUM_FREEZE"
#: The module that the trainer's processes import.
HOOK = "training.on_verl.freeze_hook"
#: What `freeze: vision` means: the vision encoder as Qwen-VL and InternVL name it, including Qwen's merger.
VISION = r"(^|\.)(visual|vision_tower|vision_model)\."


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
    """Patch verl's FSDP engine when it is imported; the environment names what to freeze.

    Raises:
        RuntimeError: the environment variable is not set.
    """
    freeze = os.environ.get(VARIABLE, "")
    if not freeze:
        raise RuntimeError(f"{VARIABLE} is not set in this process, and a stage with frozen weights must not go on.")
    after_import("verl.workers.engine.fsdp.transformer_impl", lambda module: _patch(module, freeze))


def _patch(module: ModuleType, freeze: str) -> None:
    engine = module.FSDPEngine
    build_module, build_optimizer = engine._build_module, engine._build_optimizer

    @replaces(engine)
    def _build_module(self: Any) -> Any:
        model = build_module(self)
        if not self.engine_config.forward_only:
            _freeze(model, freeze, log=self.rank == 0)
        return model

    @replaces(engine)
    def _build_optimizer(self: Any, model: Any) -> Any:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return build_optimizer(self, SimpleNamespace(parameters=lambda: trained))


def _freeze(model: Any, freeze: str, log: bool) -> None:
    parameters = dict(model.named_parameters())
    frozen = chosen(list(parameters), freeze)
    for name in frozen:
        parameters[name].requires_grad_(False)
    if log:
        numbers = sum(parameters[name].numel() for name in frozen)
        total = sum(parameter.numel() for parameter in parameters.values())
        print(f"freeze: {freeze!r} holds {len(frozen)} of {len(parameters)} tensors, {numbers:,} of {total:,} numbers")
