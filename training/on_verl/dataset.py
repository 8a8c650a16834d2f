"""verl's dataset with limits on image area (verl: `data.custom_cls`).

verl has no setting for them: it passes each image to `qwen_vl_utils`, which reads limits from the image's part of the
message. Writing them there gives training and rollouts the same resized image.
"""

from typing import Any

from verl.utils.dataset.rl_dataset import RLHFDataset


class LimitedImages(RLHFDataset):
    """`data.min_pixels` and `data.max_pixels` are areas in pixels."""

    def _build_messages(self, example: dict[str, Any], key: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = super()._build_messages(example, key)
        limits = {name: int(self.config[name]) for name in ("min_pixels", "max_pixels")}
        for message in messages:
            for part in message["content"] if isinstance(message["content"], list) else ():
                if part["type"] == "image":
                    part |= limits
        return messages
