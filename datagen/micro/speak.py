"""A checkpoint that answers chat messages in batches, through the same processor that every other engine uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from datagen.micro.tokenizer import END_OF_TEXT, TURN_END


class Speaker:
    """The model and processor of a checkpoint folder, in float32."""

    def __init__(self, folder: Path | str) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def say(
        self,
        chats: Sequence[list[dict[str, Any]]],
        images: Sequence[Image.Image] = (),
        *,
        temperature: float = 0.0,
        batch: int = 64,
        limit: int = 96,
    ) -> list[str]:
        """One reply a chat, without its end mark; greedy at temperature 0.

        Args:
            chats: chat messages; all have one image part, or none has.
            images: as many as chats, or none.
            temperature: 0 takes the likeliest token; otherwise torch's global generator is drawn from.
            batch: chats that are answered at once.
            limit: the most tokens of a reply.
        """
        replies: list[str] = []
        draw = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        for start in range(0, len(chats), batch):
            some = list(chats[start : start + batch])
            texts = self.processor.apply_chat_template(some, tokenize=False, add_generation_prompt=True)
            shown = {"images": list(images[start : start + batch])} if images else {}
            given = self.processor(text=texts, **shown, padding=True, padding_side="left", return_tensors="pt")
            said = self.model.generate(**given, max_new_tokens=limit, **draw)[:, given["input_ids"].size(1) :]
            texts = self.processor.tokenizer.batch_decode(said, skip_special_tokens=False)
            replies += [str(text).split(TURN_END)[0].split(END_OF_TEXT)[0] for text in texts]
        return replies
