"""The number of tokens in verl 0.9.1's prompt of a row, by the backbone's own processor.

verl resizes an image twice: `qwen_vl_utils` by the dataset's limits, then the processor by its own. `count` computes
both from the image's size, a hundred times cheaper than processing pixels as `count_exactly` does; `disagreements`
compares the two. Imports torch, so it is for worker processes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from capcurriculum.errors import TrainerError
from capcurriculum.torchvision_shim import ensure_torchvision
from training.preflight.rows.settings import Settings

_MEDIA = re.compile("(<image>|<video>|<audio>)")
#: verl's default for a processor without a patch size; qwen_vl_utils merges 2 x 2 patches.
_PATCH, _MERGE = 14, 2
#: Width and height of blank images that cover the branches of the arithmetic: too small, too large, elongated, odd.
PROBES = ((28, 28), (33, 47), (96, 96), (1000, 667), (667, 1000), (1500, 701), (3000, 20), (20, 3000), (2048, 2048))

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a prompt, image tokens included."""

    tokens: int
    image_tokens: int


class Lengths:
    """One processor, loaded as verl loads it; raises `TrainerError` if it does not load."""

    def __init__(self, settings: Settings) -> None:
        ensure_torchvision()
        from transformers import AutoProcessor, PreTrainedTokenizerBase

        try:
            loaded = AutoProcessor.from_pretrained(settings.model)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise TrainerError(
                f"The checkpoint {settings.model} has no processor that loads ({reason}); copy the processor and "
                f"tokenizer files of its origin into it."
            ) from error
        self._options = dict(settings.processor_options)
        self._template = dict(settings.template_options)
        self._limits = {"min_pixels": settings.least, "max_pixels": settings.most}
        self._limits = {name: value for name, value in self._limits.items() if value is not None}
        self.processor = None if isinstance(loaded, PreTrainedTokenizerBase) else loaded
        self._tokenizer = loaded if self.processor is None else loaded.tokenizer
        patch = getattr(getattr(self.processor, "image_processor", None), "patch_size", _PATCH)
        self.patch = patch if isinstance(patch, int) else _PATCH
        special = [token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special]
        self._control = re.compile("|".join(re.escape(token) for token in special)) if special else None

    def control_token(self, text: str) -> str:
        """The first of the model's control tokens in `text`, "" if there is none."""
        found = self._control.search(text) if self._control else None
        return found[0] if found else ""

    def count(self, turns: Sequence[Mapping[str, str]], sizes: Sequence[Size]) -> Count:
        """The count by arithmetic; `sizes` are (width, height) of the row's images.

        Raises:
            ValueError: an image is more than 200 times as long as wide.
        """
        tokens = len(self._tokenizer(self._text(turns, len(sizes)))["input_ids"])  # with one token per image
        if not sizes or self.processor is None:
            return Count(tokens, 0)
        resized = [self._resized(size)[::-1] for size in sizes]
        images = sum(self.processor._get_num_multimodal_tokens(image_sizes=resized, **self._options).num_image_tokens)
        return Count(tokens - len(sizes) + images, images)

    def count_exactly(self, turns: Sequence[Mapping[str, str]], pictures: Sequence[Image.Image]) -> Count:
        """The count from the images' pixels, by the code that verl calls."""
        text = self._text(turns, len(pictures))
        if self.processor is None:
            return Count(len(self._tokenizer(text)["input_ids"]), 0)
        from qwen_vl_utils.vision_process import fetch_image

        given = [fetch_image({"image": one, **self._limits}, image_patch_size=self.patch) for one in pictures]
        made = self.processor(text=[text], images=given or None, return_tensors="pt", **self._options)
        tokens = made["input_ids"].shape[1]
        return Count(tokens, tokens - len(self._tokenizer(text)["input_ids"]) + len(given))

    def disagreements(self) -> list[str]:
        """Differences between arithmetic and pixels for blank images; a processor without arithmetic always differs."""
        if self.processor is None:
            return []
        if not hasattr(self.processor, "_get_num_multimodal_tokens"):
            return [f"{type(self.processor).__name__} has no arithmetic"]
        turns = [{"role": "user", "content": "<image>What is it?"}]
        found = []
        for size in PROBES:
            counted = self.count(turns, [size])
            exact = self.count_exactly(turns, [Image.new("RGB", size)])
            if counted != exact:
                found.append(f"{size[0]} x {size[1]}: {counted.tokens} and {exact.tokens}")
        return found

    def _text(self, turns: Sequence[Mapping[str, str]], pictures: int) -> str:
        messages = [dict(turn) if not pictures else {**turn, "content": _parts(turn["content"])} for turn in turns]
        renderer = self.processor if self.processor is not None else self._tokenizer
        asks = turns[-1]["role"] != "assistant"  # a caption row contains its reply
        text: str = renderer.apply_chat_template(messages, add_generation_prompt=asks, tokenize=False, **self._template)
        return text

    def _resized(self, size: Size) -> Size:
        from qwen_vl_utils.vision_process import IMAGE_MAX_TOKEN_NUM, IMAGE_MIN_TOKEN_NUM, smart_resize

        factor = self.patch * _MERGE
        least = self._limits.get("min_pixels", IMAGE_MIN_TOKEN_NUM * factor**2)
        most = self._limits.get("max_pixels", IMAGE_MAX_TOKEN_NUM * factor**2)
        width, height = size
        height, width = smart_resize(height, width, factor=factor, min_pixels=least, max_pixels=most)
        return width, height


def _parts(content: str) -> list[dict[str, str]]:
    """A turn's content as verl's dataset splits it for a row with images."""
    pieces = [piece for piece in _MEDIA.split(content) if piece]
    return [{"type": piece[1:-1]} if _MEDIA.fullmatch(piece) else {"type": "text", "text": piece} for piece in pieces]
