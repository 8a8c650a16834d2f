"""The micro model's tokenizer: byte-level BPE with Qwen's special tokens and a ChatML template.

Any text encodes, since the alphabet is bytes. Hyphenated words stay whole, so every option of the world is one token
after a space; fixed passages of the project's prompts stay whole too, so BPE merges them into a few tokens and a prompt
of a hundred words costs the micro model about as much as its question.
"""

import re
from collections.abc import Iterable
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from capcurriculum import prompts

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
#: In the order of Qwen's own vocabulary.
SPECIAL: tuple[str, ...] = (
    END_OF_TEXT, TURN_START, TURN_END, "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", VISION_START, VISION_END, "<|vision_pad|>", IMAGE_PAD, VIDEO_PAD,
)  # fmt: skip
#: One token each, but part of the text: they survive `skip_special_tokens`.
MARKS: tuple[str, ...] = ("<think>", "</think>")
VOCABULARY = 1280
MAX_LENGTH = 4096

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {%- if part.type in ('image', 'image_url') or 'image' in part or 'image_url' in part %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif part.type == 'video' or 'video' in part %}
                {{- '<|vision_start|><|video_pad|><|vision_end|>' }}
            {%- elif 'text' in part %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

#: A value that stands in for whatever a prompt is filled with.
_HOLE = "\x00"
#: JSON between the values of a teacher's reply.
_GLUE: tuple[str, ...] = (
    '{"question": "', '", "options": {"A": "', '", "B": "', '", "C": "', '", "D": "', '"}, "answer": "', '"}',
)  # fmt: skip
#: Set phrases of the world: one token each, with or without a space before.
_PHRASES: tuple[str, ...] = (
    "The image shows", "is at the", "are there?", "Where is the", "How large is the", "How many more", "How many",
    "What color is the object at the", "What shape is the object at the", "A picture shows", "does it show?",
    "are left?", "Describe the image.", "There is no picture.", "The object at the",
)  # fmt: skip
_WORDS = (
    r"(?:system|user|assistant)\n",
    r" ?\\boxed\{",
    r" ?\p{L}+(?:-\p{L}+)*",
    r" ?\p{N}{1,2}",
    r" ?[^\s\p{L}\p{N}]",
    r"\s*\n",
    r"\s+(?!\S)",
    r"\s",
)


@cache
def fixed_passages() -> tuple[str, ...]:
    """What the project's prompts say whatever they are filled with, longest first."""
    filled = [
        prompts.system(),
        prompts.choice(_HOLE, dict.fromkeys("ABCD", _HOLE)),
        prompts.caption_arm(_HOLE, _HOLE),
        *(
            prompts.render("teacher_caption", caption=_HOLE, skill=_HOLE, asked=asked, problem=problem)
            for asked in ([], [_HOLE])
            for problem in ("", _HOLE)
        ),
    ]
    cut = re.compile("|".join(map(re.escape, (_HOLE, *MARKS))))
    # A word after a passage keeps its own leading space.
    passages = {piece.rstrip(" ") for text in filled for piece in cut.split(text)} - {""}
    return tuple(sorted(passages, key=lambda piece: (-len(piece), piece)))


def _pattern() -> str:
    passages = [re.sub(r"([\\{}()\[\].*+?^$|#&~-])", r"\\\1", piece) for piece in fixed_passages() if len(piece) > 2]
    glue = [re.sub(r"([{}\[\]])", r"\\\1", piece) for piece in _GLUE]
    phrases = [" ?" + phrase.replace("?", r"\?").replace(".", r"\.") for phrase in _PHRASES]
    return "|".join([*passages, *glue, *phrases, *_WORDS])


def train(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer for `texts`, with the chat template on it; the same texts give the same tokenizer."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_pattern()), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    size = VOCABULARY - len(SPECIAL) - len(MARKS)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # Added tokens must not become part of a merge, so they are cut out before training as they will be in use.
    added = re.compile("|".join(map(re.escape, (*SPECIAL, *MARKS))))
    pieces = (piece for text in texts for piece in added.split(text) if piece)
    backend.train_from_iterator(
        pieces, trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(alphabet), show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL),
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
