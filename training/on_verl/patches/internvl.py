"""Support for training InternVL (transformers' `InternVLForConditionalGeneration`) on images with verl 0.9.1.

verl imports this module in each of its processes (`VERL_USE_EXTERNAL_MODULES`; see `supported_models.variables`), and
four functions are replaced when they are imported:

- verl selects processors by class name and uses none for a model whose class it does not know.
- It builds a reply's image tensors from the decoded conversation without special tokens, of which InternVL's image
token is
  one, so the processor finds images and no placeholders.
- vLLM expands one image token per image. verl collapses an image's tokens to one for Qwen-VL only; InternVL's are also
  between a start and an end token, which vLLM adds itself.
- Under FSDP all GPUs gather each layer of the vision tower together. A GPU whose micro-batch has no image would skip
the
  tower and block the others; it encodes one blank tile, times zero.
"""

import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import, replaces

PROCESSOR = "InternVLProcessor"


def _install() -> None:
    after_import("verl.utils.tokenizer.tokenizer", _accept_processor)
    after_import("verl.experimental.agent_loop.agent_loop", _build_image_tensors)
    after_import("verl.workers.rollout.utils", _collapse_image_tokens)
    after_import("transformers.models.internvl.modeling_internvl", _encode_blank_tile)


def _is_internvl(processor: Any) -> bool:
    return type(processor).__name__ == PROCESSOR


def _accept_processor(module: ModuleType) -> None:
    original = module.hf_processor

    @wraps(original)
    def hf_processor(name_or_path: str, **kwargs: Any) -> Any:
        from transformers import AutoConfig, AutoProcessor

        config = AutoConfig.from_pretrained(name_or_path, **kwargs)
        if config.model_type != "internvl":
            return original(name_or_path, **kwargs)
        processor = AutoProcessor.from_pretrained(name_or_path, **kwargs)
        processor.config = config  # as verl does for those it knows
        # verl's SFT dataset reads it from here even if its configuration sets it.
        processor.image_processor.patch_size = config.vision_config.patch_size[0]
        return processor

    # Packages that re-export the function imported it before this module.
    for name in (module.__name__, "verl.utils.tokenizer", "verl.utils"):
        holder = sys.modules.get(name)
        if getattr(holder, "hf_processor", None) is original:
            setattr(holder, "hf_processor", hf_processor)  # noqa: B010 (a module has no such attribute for mypy)


def _build_image_tensors(module: ModuleType) -> None:
    original = module.AgentLoopWorker._compute_multi_modal_inputs

    @wraps(original)
    @replaces(module.AgentLoopWorker)
    def _compute_multi_modal_inputs(self: Any, output: Any, input_ids: Any) -> dict[str, Any]:
        if not _is_internvl(self.processor):
            found: dict[str, Any] = original(self, output, input_ids)
            return found
        images = (output.multi_modal_data or {}).get("images")
        if not images:
            return {}
        options = output.mm_processor_kwargs
        made = module.build_multimodal_processor_inputs(
            self.processor,
            text=[self.processor.image_token * len(images)],  # any text would do: only its image tensors are kept
            images=images,
            mm_processor_kwargs=self._get_mm_processor_kwargs() if options is None else options,
        )
        return {"pixel_values": made["pixel_values"]}


def _collapse_image_tokens(module: ModuleType) -> None:
    original = module.qwen2_5_vl_dedup_image_tokens

    @wraps(original)
    @replaces(module)
    def qwen2_5_vl_dedup_image_tokens(prompt_ids: list[int], processor: Any) -> list[int]:
        if not _is_internvl(processor):
            found: list[int] = original(prompt_ids, processor)
            return found
        return collapsed(
            prompt_ids, processor.image_token_id, processor.start_image_token_id, processor.end_image_token_id
        )


def collapsed(tokens: Sequence[int], image: int, start: int, end: int) -> list[int]:
    """The tokens with every run of `image` between `start` and `end` replaced, with these two, by a single `image`."""
    kept: list[int] = []
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        if token == image and before == start:
            kept[-1] = image
        elif not (before == image and token in (image, end)):
            kept.append(token)
    return kept


def _encode_blank_tile(module: ModuleType) -> None:
    original = module.InternVLModel.forward

    @wraps(original)
    @replaces(module.InternVLModel)
    def forward(self: Any, input_ids: Any = None, pixel_values: Any = None, **kwargs: Any) -> Any:
        decoding = kwargs.get("past_key_values") is not None  # `generate`, after its first token
        if pixel_values is None and input_ids is not None and not decoding:
            words = self.get_input_embeddings()(input_ids)
            kwargs["inputs_embeds"] = words + 0.0 * _blank(self, words).mean().to(words.dtype)
            input_ids = None
        return original(self, input_ids=input_ids, pixel_values=pixel_values, **kwargs)


def _blank(model: Any, words: Any) -> Any:
    """The projected features of a tile of zeros with the device and dtype of `words`."""
    config = model.config
    tile = words.new_zeros(1, config.vision_config.num_channels, *config.vision_config.image_size)
    return model.get_image_features(
        pixel_values=tile,
        vision_feature_layer=config.vision_feature_layer,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        return_dict=True,
    ).pooler_output


_install()
