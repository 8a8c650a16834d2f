"""What verl 0.9.1 computes wrong or not at all of our backbones, on any machine, and the mend of each.

Installed in every process of the trainer by `mends_hook`; each patch waits for the module it mends. None edits a file
of verl's, and a test for each shows the fault without the patch.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import

#: The module that the trainer's processes import (`model.external_lib`).
HOOK = "training.on_verl.patches.mends_hook"
_HEAD = "lm_head"


def install() -> None:
    """Register every patch; idempotence is the caller's (once a process, by importing `mends_hook`)."""
    after_import("verl.utils.fsdp_utils", _head_with_the_root)
    after_import("verl.models.transformers.qwen2_vl", _blank_pictures)
    after_import("verl.models.transformers.qwen3_5", _sequences_apart)


def _head_with_the_root(module: ModuleType) -> None:
    """Under FSDP2 verl shards an untied output layer by itself, and its fused kernels read the weight past the layer.

    Then nothing gathers the weight: Qwen2.5-VL dies of it ("mixed torch.Tensor and DTensor"). For Qwen3-VL and Qwen3.5
    verl gathers it by hand, without saying that its gradient is a share of a sum, so each GPU updates its part of the
    output layer by its own sequences alone. Among the root's weights it is gathered before a pass, and its gradient
    averaged after.
    """
    original = module._select_fsdp2_wrap_targets

    def select(model: Any, layers: Any) -> list[Any]:
        head = getattr(model, _HEAD, None)
        return [one for one in original(model, layers) if one is not head]

    module._select_fsdp2_wrap_targets = select  # type: ignore[attr-defined]


def _blank_pictures(module: ModuleType) -> None:
    """A batch without pictures shows Qwen2.5-VL a blank one, so that all GPUs run the vision tower.

    verl takes the mean of what the tower returns, which since transformers 5 is no tensor ("has no attribute 'mean'").
    """
    original = module._get_input_embeds

    def embeds(
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

    module._get_input_embeds = embeds  # type: ignore[attr-defined]


def _sequences_apart(module: ModuleType) -> None:
    """verl packs the sequences of a pass into one, and tells Qwen3.5's linear attention where each begins.

    It does so where the kernel takes `cu_seqlens`, else it calls it sequence by sequence. The kernel in torch, which
    stands in for flash-linear-attention, takes it since transformers 5.9 as any keyword, and ignores it, so that each
    sequence would begin with the state of the one before.
    """

    def takes(kernel: Callable[..., Any], name: str) -> bool:
        return name in inspect.signature(kernel).parameters

    module._call_accepts_kwarg = takes  # type: ignore[attr-defined]
