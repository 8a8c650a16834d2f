"""Fixes of faults in verl 0.9.1 that affect the supported backbones on any machine.

`mends_hook` installs them in every process of the trainer; each is applied when the module it patches is imported. No
file of verl is edited. A test for each shows the fault without the patch.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import, replaces

#: The module that the trainer's processes import (`model.external_lib`).
HOOK = "training.on_verl.patches.mends_hook"


def install() -> None:
    """Register every patch; call once per process."""
    after_import("verl.utils.fsdp_utils", _shard_output_layer_with_root)
    after_import("verl.models.transformers.qwen2_vl", _unpack_vision_output)
    after_import("verl.models.transformers.qwen3_5", _separate_sequences)


def _shard_output_layer_with_root(module: ModuleType) -> None:
    """Under FSDP2 verl wraps an untied output layer separately, and its fused kernels read the weight directly.

    Then the layer's forward does not run and nothing gathers the weight: Qwen2.5-VL fails ("mixed torch.Tensor and
    DTensor"). For Qwen3-VL and Qwen3.5 verl gathers it by hand without reducing the gradient, so each GPU updates its
    shard from its own sequences alone. As part of the root module it is gathered before a pass, and its gradient is
    averaged after it.
    """
    original = module._select_fsdp2_wrap_targets

    @replaces(module)
    def _select_fsdp2_wrap_targets(model: Any, layers: Any) -> list[Any]:
        head = getattr(model, "lm_head", None)
        return [one for one in original(model, layers) if one is not head]


def _unpack_vision_output(module: ModuleType) -> None:
    """For a batch without images verl runs Qwen2.5-VL's vision tower on a blank one, so that all GPUs run it.

    It takes the mean of the tower's output, which in transformers 5 is not a tensor ("has no attribute 'mean'").
    """
    original = module._get_input_embeds

    @replaces(module)
    def _get_input_embeds(
        model: Any,
        input_ids: Any,
        attention_mask: Any = None,
        pixel_values: Any = None,
        videos: Any = None,
        *grids: Any,
    ) -> tuple[Any, Any]:
        if pixel_values is not None or videos is not None:
            found: tuple[Any, Any] = original(model, input_ids, attention_mask, pixel_values, videos, *grids)
            return found
        words, vision = model.get_input_embeddings()(input_ids), model.config.vision_config
        area = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        grid = input_ids.new_tensor([[1, 4, 4]])
        seen, _ = module.unpack_visual_output(model.visual(words.new_zeros(16, area), grid_thw=grid))
        return words + 0.0 * seen.mean(), attention_mask


def _separate_sequences(module: ModuleType) -> None:
    """verl packs the sequences of a pass into one and passes `cu_seqlens` to kernels of linear attention that take it.

    Others it calls once per sequence. The torch kernel, which replaces flash-linear-attention if that is not installed,
    takes any keyword since transformers 5.9 and ignores this one, so each sequence would start with the state of the
    previous one. Here only a parameter of that name counts.
    """

    @replaces(module)
    def _call_accepts_kwarg(kernel: Callable[..., Any], name: str) -> bool:
        return name in inspect.signature(kernel).parameters
