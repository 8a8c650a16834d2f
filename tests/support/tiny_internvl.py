"""A random InternVL of under a million numbers with the micro models' words, and the files of the large ones."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import AddedToken
from transformers import AutoProcessor, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config
from transformers.models.got_ocr2 import GotOcr2ImageProcessor
from transformers.models.internvl import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
)

from datagen import micro

TILE = 56
MOST_TILES = 4
#: Image tokens of a tile: 4 x 4 patches, of which 2 x 2 become one.
TOKENS = 4
#: How the released checkpoints write a conversation.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}{% elif part['type'] == 'video' %}{{ '<video>\\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_MARKS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def processor(tile: int = TILE, tokens: int = TOKENS, most_tiles: int = MOST_TILES) -> InternVLProcessor:
    """An InternVL processor for tiles of this side in pixels, each of so many tokens."""
    known = PreTrainedTokenizerFast.from_pretrained(micro.checkpoint("start"))
    known.add_tokens(
        [AddedToken(mark, special=True, normalized=False) for mark in _MARKS.values()], special_tokens=True
    )
    words = PreTrainedTokenizerFast(
        tokenizer_object=known.backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=8192,
        extra_special_tokens=_MARKS,
        chat_template=TEMPLATE,
    )
    size = {"height": tile, "width": tile}
    pictures = GotOcr2ImageProcessor(
        size=size,
        crop_to_patches=True,
        min_patches=1,
        max_patches=most_tiles,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return InternVLProcessor(
        pictures, words, InternVLVideoProcessor(size=size), image_seq_length=tokens, chat_template=TEMPLATE
    )


#: What the released checkpoints say of themselves, as their conversion in transformers and their model cards give it.
RELEASED: dict[str, dict[str, Any]] = {
    "internvl3_8b": {
        "image_token_id": 151667,
        "text_config": Qwen2Config(
            hidden_size=3584,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            intermediate_size=18944,
            max_position_embeddings=32768,
            vocab_size=151674,
            rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6},
            tie_word_embeddings=False,
        ),
    },
    "internvl3_5_8b": {
        "image_token_id": 151671,
        "text_config": Qwen3Config(
            hidden_size=4096,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=128,
            intermediate_size=12288,
            max_position_embeddings=40960,
            vocab_size=151936,
            tie_word_embeddings=False,
        ),
    },
}


def released(folder: Path, name: str) -> Path:
    """A folder like a large checkpoint's, with its processor's tiles; of the weights only what their header says."""
    config = InternVLConfig(vision_config=InternVLVisionConfig(), tie_word_embeddings=False, **RELEASED[name])
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    config.architectures = ["InternVLForConditionalGeneration"]
    config.save_pretrained(folder)
    processor(tile=448, tokens=256, most_tiles=12).save_pretrained(folder)
    header: dict[str, Any] = {}
    end = 0
    for key, tensor in model.state_dict().items():
        size = 2 * tensor.numel()
        header[_written(key)] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    said = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(said).to_bytes(8, "little") + said)
        file.truncate(8 + len(said) + end)  # a file of holes: 16 GB that take no room
    return folder


def _written(key: str) -> str:
    """A weight's name as these checkpoints were written, before transformers moved them."""
    key = key.replace("model.language_model.", "language_model.model.", 1)
    return f"language_model.{key}" if key.startswith("lm_head") else key.removeprefix("model.")


def write(folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint and return its folder."""
    speaker = processor()
    words = speaker.tokenizer
    ends = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            image_size=[TILE, TILE],
            patch_size=[14, 14],
        ),
        text_config=Qwen2Config(
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=256,
            vocab_size=1 + max(words.get_vocab().values()),
            max_position_embeddings=4096,
            tie_word_embeddings=False,
            bos_token_id=words.pad_token_id,
            **ends,
        ),
        image_token_id=speaker.image_token_id,
        image_seq_length=TOKENS,
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config)
    model.generation_config.update(**ends)
    model.save_pretrained(folder)
    speaker.save_pretrained(folder)
    return folder


def teach(folder: Path, rows: Sequence[dict[str, Any]], steps: int = 120) -> float:
    """Overfit the checkpoint to right replies to these rows, in place; returns the last loss in nats a token."""
    model = InternVLForConditionalGeneration.from_pretrained(folder)
    speaker = AutoProcessor.from_pretrained(folder)
    batch, labels = _batch(speaker, rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss = torch.tensor(float("inf"))
    for _ in range(steps):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(folder)
    return float(loss.detach())


def _batch(speaker: Any, rows: Sequence[dict[str, Any]]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    texts, pictures, asked = [], [], []
    for row in rows:
        shown = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in row["images"]]
        turns = [{**turn, "content": turn["content"].replace("<image>", "<IMG_CONTEXT>\n")} for turn in row["prompt"]]
        prompt = speaker.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        texts.append(f"{prompt}<think>So it is.</think> \\boxed{{{row['answer']}}}<|im_end|>")
        asked.append(speaker(text=[prompt], images=shown or None, return_tensors="pt")["input_ids"].shape[1])
        pictures += shown
    made = speaker(text=texts, images=pictures, return_tensors="pt", padding=True, padding_side="right")
    labels = made["input_ids"].masked_fill(made["attention_mask"] == 0, -100)
    for number, length in enumerate(asked):
        labels[number, :length] = -100
    return dict(made), labels
