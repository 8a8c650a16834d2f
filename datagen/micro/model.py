"""The micro model: a real `Qwen3VLForConditionalGeneration` of a few million parameters, with its processor.

Every image is brought to about 96 by 96 pixels, nine image tokens, one per grid cell. The folder written by `save`
holds all that `transformers`, vLLM and verl read from a checkpoint; weights are stored in bfloat16.
"""

from copy import deepcopy
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextAttention

from datagen.micro import tokenizer as vocabulary
from datagen.micro.render import SIDE

PATCH = 16
MERGE = 2
#: Image tokens of one of the world's images.
IMAGE_TOKENS = (SIDE // (PATCH * MERGE)) ** 2
_PIXELS = {"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE}
WIDTH = 128
HEAD = 64
_ROPE_BASE = 10_000.0
#: RMS-norm gains of queries and keys start here instead of 1, so that attention can point from the start.
_ATTENTION_GAIN = 1.5
#: How strongly predecessors are copied, beside embeddings of about 0.07 an entry.
_COPIED = 0.04
#: Rotary frequencies, fastest first, that heads which look back attend with.
_FAST = 6


_VISION = {
    "depth": 3, "hidden_size": 96, "intermediate_size": 256, "num_heads": 2, "patch_size": PATCH,
    "spatial_merge_size": MERGE, "temporal_patch_size": 2, "out_hidden_size": WIDTH, "num_position_embeddings": 36,
    "deepstack_visual_indexes": [1],
}  # fmt: skip
_TEXT = {
    "vocab_size": vocabulary.VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 384, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": HEAD, "rms_norm_eps": 1e-6,
    "max_position_embeddings": vocabulary.MAX_LENGTH, "initializer_range": 0.05, "tie_word_embeddings": True,
    # Contexts are short: a small base spreads the rotary frequencies over them.
    "rope_parameters": {
        "rope_type": "default", "rope_theta": _ROPE_BASE, "mrope_interleaved": True, "mrope_section": [12, 10, 10],
    },
}  # fmt: skip


def config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """The micro model's configuration for that tokenizer."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in vocabulary.SPECIAL}
    end = ids[vocabulary.END_OF_TEXT]
    return Qwen3VLConfig(
        text_config=deepcopy(_TEXT)
        | {"bos_token_id": end, "eos_token_id": ids[vocabulary.TURN_END], "pad_token_id": end},
        vision_config=deepcopy(_VISION),
        image_token_id=ids[vocabulary.IMAGE_PAD],
        video_token_id=ids[vocabulary.VIDEO_PAD],
        vision_start_token_id=ids[vocabulary.VISION_START],
        vision_end_token_id=ids[vocabulary.VISION_END],
        tie_word_embeddings=True,
    )


def _look_back(attention: Qwen3VLTextAttention, common: torch.Tensor) -> None:
    """Make head n attend to the token n + 1 places back.

    `common` is a direction that every token shares: read through it, queries and keys are constants, and rotary
    position alone decides. The query is the key turned back, so the score peaks at that distance. What is found there
    is copied as it is, through a random projection, so that tokens with like predecessors become alike.
    """
    pairs = torch.arange(_FAST)
    speeds = _ROPE_BASE ** (-2 * pairs / HEAD)
    for head in range(attention.q_proj.weight.size(0) // HEAD):
        rows = slice(head * HEAD, (head + 1) * HEAD)
        key, query = torch.zeros(HEAD), torch.zeros(HEAD)
        key[pairs] = 1.0
        turn = -(head + 1) * speeds
        query[pairs], query[pairs + HEAD // 2] = torch.cos(turn), torch.sin(turn)
        # Where both were zero neither would ever get a gradient, so a little of the key's random start is kept.
        attention.k_proj.weight[rows] = 0.2 * attention.k_proj.weight[rows] + torch.outer(key, common)
        attention.q_proj.weight[rows] = torch.outer(query, common)
        copy = torch.linalg.qr(torch.randn(WIDTH, HEAD)).Q.T
        copy -= torch.outer(copy @ common, common)
        attention.v_proj.weight[rows] = copy
        attention.o_proj.weight[:, rows] = _COPIED * copy.T


def _look_up(attention: Qwen3VLTextAttention, heads: int) -> None:
    """Make the first `heads` heads attend to tokens like the present one: the same projection for query and key.

    Only slow rotary frequencies take part, so a like token far away counts about as much as the token itself.
    """
    attention.q_proj.weight[: heads * HEAD] = attention.k_proj.weight[: heads * HEAD]
    for head in range(heads):
        for half in (0, HEAD // 2):
            fast = slice(head * HEAD + half, head * HEAD + half + HEAD // 4)
            attention.q_proj.weight[fast] = 0.0
            attention.k_proj.weight[fast] *= 0.2


def _pair_up(embeddings: torch.Tensor, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let a word after a space and the same word without one begin a common step apart.

    Captions have the one and JSON the other; what is learned of either then holds for both.
    """
    step = 0.05 * torch.randn(embeddings.size(1))
    known = tokenizer.get_vocab()
    for token, bare in known.items():
        if (spaced := known.get(f"\u0120{token}")) is not None:
            embeddings[bare] = embeddings[spaced] + step


def new(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3VLForConditionalGeneration:
    """An untrained model in float32, whose attention starts as the two halves of looking something up.

    To find the letter before an option's text, or the place of a red circle in a caption, is associative recall: early
    heads carry a token's predecessors to it, a later head finds the token that carries what is sought. A transformer
    takes long to discover the pair, so here it starts from it.
    """
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config(tokenizer))
    text = model.model.language_model
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                weight.fill_(_ATTENTION_GAIN)
        common = torch.randn(WIDTH).sign() / WIDTH**0.5
        text.embed_tokens.weight += 0.05 * WIDTH**0.5 * common
        _pair_up(text.embed_tokens.weight, tokenizer)
        for layer in text.layers:
            # Layers begin by adding little, or later ones would not recognise tokens by their embeddings.
            layer.self_attn.o_proj.weight *= 0.2
            layer.mlp.down_proj.weight *= 0.2
        _look_back(text.layers[0].self_attn, common)
        for layer in text.layers[1:]:
            _look_up(layer.self_attn, 2)
    return model


@torch.no_grad()
def round_weights(model: Qwen3VLForConditionalGeneration) -> None:
    """Give weights, in place, the values that a checkpoint in bfloat16 would bring back."""
    for weight in model.parameters():
        weight.copy_(weight.bfloat16())


def processor(folder: Path) -> Qwen3VLProcessor:
    """The processor around the tokenizer that is saved in `folder`."""
    sizes = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2, "size": _PIXELS}
    normal = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes, **normal),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        video_processor=Qwen3VLVideoProcessor(**sizes, **normal),
        chat_template=vocabulary.CHAT_TEMPLATE,
    )


def save(model: Qwen3VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a complete checkpoint; the model itself stays as it is, in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    end, turn_end = (tokenizer.convert_tokens_to_ids(t) for t in (vocabulary.END_OF_TEXT, vocabulary.TURN_END))
    stored = Qwen3VLForConditionalGeneration(model.config)
    stored.load_state_dict(model.state_dict())
    stored = stored.to(torch.bfloat16)
    sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    stored.generation_config = GenerationConfig(
        bos_token_id=end, eos_token_id=[turn_end, end], pad_token_id=end, **sampling
    )
    stored.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor(folder).save_pretrained(folder)
