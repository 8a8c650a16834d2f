"""What verl 0.9.1 lacks to train InternVL (transformers' `InternVLForConditionalGeneration`) on pictures.

verl imports this module in each of its processes (`VERL_USE_EXTERNAL_MODULES`, which Ray carries to every node; see
`supported_models.modules`). No file of verl is changed: four functions are replaced as soon as they have been imported.

- verl knows processors by the names of their classes, and gives a model of any other no processor at all.
- It makes a reply's pictures into tensors by reading the whole conversation again, without its special tokens. The
  mark of a picture is one of InternVL's, so its processor finds pictures and no places for them.
- vLLM puts as many image tokens into a prompt as a picture needs, and so must be given one for each picture. verl
  leaves one only for Qwen-VL's; InternVL's are also in a pair of brackets, which vLLM sets itself.
- Under FSDP all GPUs meet in each layer of the vision tower. A GPU whose micro-batch shows no picture would never come
  there, and the others would wait for it for ever: it looks at one blank tile, which adds nothing.
"""

import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import

PROCESSOR = "InternVLProcessor"


def _install() -> None:
    after_import("verl.utils.tokenizer.tokenizer", _accept_the_processor)
    after_import("verl.experimental.agent_loop.agent_loop", _keep_a_replys_pictures)
    after_import("verl.workers.rollout.utils", _one_token_a_picture)
    after_import("transformers.models.internvl.modeling_internvl", _look_at_a_blank_tile)


def _is_internvl(processor: Any) -> bool:
    return type(processor).__name__ == PROCESSOR


def _accept_the_processor(module: ModuleType) -> None:
    original = module.hf_processor

    @wraps(original)
    def hf_processor(name_or_path: str, **kwargs: Any) -> Any:
        from transformers import AutoConfig, AutoProcessor

        config = AutoConfig.from_pretrained(name_or_path, **kwargs)
        if config.model_type != "internvl":
            return original(name_or_path, **kwargs)
        processor = AutoProcessor.from_pretrained(name_or_path, **kwargs)
        processor.config = config  # as verl does for those it knows
        # The data set for captions asks for it, also where its configuration says it.
        processor.image_processor.patch_size = config.vision_config.patch_size[0]
        return processor

    # verl's packages hand the function on, and had imported it before they could import this module.
    for name in (module.__name__, "verl.utils.tokenizer", "verl.utils"):
        holder = sys.modules.get(name)
        if getattr(holder, "hf_processor", None) is original:
            setattr(holder, "hf_processor", hf_processor)  # noqa: B010 (a module has no such attribute for mypy)


def _keep_a_replys_pictures(module: ModuleType) -> None:
    worker = module.AgentLoopWorker
    original = worker._compute_multi_modal_inputs

    @wraps(original)
    def _compute_multi_modal_inputs(self: Any, output: Any, input_ids: Any) -> dict[str, Any]:
        if not _is_internvl(self.processor):
            found: dict[str, Any] = original(self, output, input_ids)
            return found
        pictures = (output.multi_modal_data or {}).get("images")
        if not pictures:
            return {}
        options = output.mm_processor_kwargs
        made = module.build_multimodal_processor_inputs(
            self.processor,
            text=[self.processor.image_token * len(pictures)],  # its tokens are dropped, whatever it says
            images=pictures,
            mm_processor_kwargs=self._get_mm_processor_kwargs() if options is None else options,
        )
        return {"pixel_values": made["pixel_values"]}

    worker._compute_multi_modal_inputs = _compute_multi_modal_inputs


def _one_token_a_picture(module: ModuleType) -> None:
    original = module.qwen2_5_vl_dedup_image_tokens

    @wraps(original)
    def qwen2_5_vl_dedup_image_tokens(prompt_ids: list[int], processor: Any) -> list[int]:
        if not _is_internvl(processor):
            found: list[int] = original(prompt_ids, processor)
            return found
        return collapsed(
            prompt_ids, processor.image_token_id, processor.start_image_token_id, processor.end_image_token_id
        )

    module.qwen2_5_vl_dedup_image_tokens = qwen2_5_vl_dedup_image_tokens  # type: ignore[attr-defined]


def collapsed(tokens: Sequence[int], image: int, start: int, end: int) -> list[int]:
    """The tokens with one `image` for every run of them between a `start` and an `end`, and without these two."""
    kept: list[int] = []
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        if token == image and before == start:
            kept[-1] = image
        elif not (before == image and token in (image, end)):
            kept.append(token)
    return kept


def _look_at_a_blank_tile(module: ModuleType) -> None:
    model = module.InternVLModel
    original = model.forward

    @wraps(original)
    def forward(self: Any, input_ids: Any = None, pixel_values: Any = None, **kwargs: Any) -> Any:
        goes_on = kwargs.get("past_key_values") is not None  # `generate`, after its first token
        if pixel_values is None and input_ids is not None and not goes_on:
            words = self.get_input_embeddings()(input_ids)
            kwargs["inputs_embeds"] = words + 0.0 * _blank(self, words).mean().to(words.dtype)
            input_ids = None
        return original(self, input_ids=input_ids, pixel_values=pixel_values, **kwargs)

    model.forward = forward


def _blank(model: Any, words: Any) -> Any:
    """What the tower and the projector make of one tile of zeros; `words` says on which device and in which type."""
    config = model.config
    tile = words.new_zeros(1, config.vision_config.num_channels, *config.vision_config.image_size)
    return model.get_image_features(
        pixel_values=tile,
        vision_feature_layer=config.vision_feature_layer,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        return_dict=True,
    ).pooler_output


_install()
