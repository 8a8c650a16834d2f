"""Random checkpoints of a few layers, a function for each family of backbones, which tests train on a CPU.

Each writes a folder and returns it. Tokenizer and template are those of the micro models. Output layers and embeddings
are apart, as in the 8B models; the micro models' are one.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from capcurriculum.torchvision_shim import ensure_torchvision
from datagen import micro

#: Entries so large that the next token is far from uniform: else rollout and trainer agree whatever they compute.
_SPREAD = 0.15
_TEXT = {"hidden_size": 128, "intermediate_size": 256, "initializer_range": _SPREAD}
#: What Qwen3.5's template puts behind the head of a reply, told or not told to think; the micro models' has none of it.
_THINKING = (
    "{%- if add_generation_prompt %}"
    "{{- '<think>\\n' if enable_thinking | default(true) else '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}"
)
_VISION = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 128}


def qwen2_5_vl(folder: Path) -> Path:
    """A Qwen2.5-VL with patches of 14 pixels, and attention in windows in one of its two vision layers."""
    ensure_torchvision()
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}
    text = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rope_parameters": rope}
    vision = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    config = Qwen2_5_VLConfig(text_config=_TEXT | _words() | text, vision_config=_VISION | vision, **_tokens())
    _write(folder, Qwen2_5_VLForConditionalGeneration(config))
    path = folder / "processor_config.json"
    told = json.loads(path.read_text()) | {"processor_class": "Qwen2_5_VLProcessor"}
    told["image_processor"] |= {"patch_size": 14, "size": {"shortest_edge": 84**2, "longest_edge": 84**2}}
    told["video_processor"] |= {"patch_size": 14, "video_processor_type": "Qwen2VLVideoProcessor"}
    path.write_text(json.dumps(told, indent=2))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"processor_class": "Qwen2_5_VLProcessor"}, indent=2))
    return folder


def qwen3_vl(folder: Path) -> Path:
    """A Qwen3-VL; the micro models are of this family, but their output layers are their embeddings."""
    ensure_torchvision()
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5], "mrope_interleaved": True}
    text = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
    vision = {"num_position_embeddings": 36, "deepstack_visual_indexes": [0]}
    words = _words() | {"rope_parameters": rope}
    config = Qwen3VLConfig(text_config=_TEXT | words | text, vision_config=_VISION | vision, **_tokens())
    _write(folder, Qwen3VLForConditionalGeneration(config))
    return folder


def qwen3_5(folder: Path) -> Path:
    """A Qwen3.5 of three layers of linear attention and one of full attention, which thinks by default.

    A weight of a draft model is beside it, as in the released ones, which transformers and so the trainer leaves out.
    Heads have the sizes of the released models and the state of linear attention their type, which vLLM asks for.
    """
    ensure_torchvision()
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 1e7, "mrope_section": [11, 11, 10], "mrope_interleaved": True}
    text = {
        "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 256,
        "rope_parameters": rope | {"partial_rotary_factor": 0.25}, "linear_num_key_heads": 1,
        "linear_num_value_heads": 2, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "mamba_ssm_dtype": "float32", "mtp_num_hidden_layers": 1,
    }  # fmt: skip
    vision = {"patch_size": 16, "num_position_embeddings": 36}
    config = Qwen3_5Config(text_config=_TEXT | _words() | text, vision_config=_VISION | vision, **_tokens())
    _write(folder, Qwen3_5ForConditionalGeneration(config))
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text() + _THINKING)
    save_file({"mtp.norm.weight": torch.ones(128, dtype=torch.bfloat16)}, folder / "mtp.safetensors", {"format": "pt"})
    return folder


def _micro() -> dict[str, Any]:
    """The configuration of the micro model whose tokenizer is taken."""
    config: dict[str, Any] = json.loads((Path(micro.checkpoint("start")) / "config.json").read_text())
    return config


def _words() -> dict[str, Any]:
    """As many words as the tokenizer has: vLLM samples no others, to which a random model would give a share."""
    from transformers import AutoTokenizer

    text = _micro()["text_config"]
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings")
    return {name: text[name] for name in names} | {
        "vocab_size": len(AutoTokenizer.from_pretrained(micro.checkpoint("start")))
    }


def _tokens() -> dict[str, Any]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {name: _micro()[name] for name in names} | {"tie_word_embeddings": False}


def _write(folder: Path, model: Any) -> None:
    """The model in bfloat16, in which checkpoints are released, beside the micro model's other files."""
    import torch

    torch.manual_seed(0)
    model.init_weights()
    source = Path(micro.checkpoint("start"))
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    model.to(torch.bfloat16).save_pretrained(folder)
    shutil.copy(source / "generation_config.json", folder)
