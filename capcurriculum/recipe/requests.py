"""What a recipe may add to a model's requests: keys of the body, and arguments of the chat template.

Both are somebody else's vocabulary, so all is let through but what the engines own.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from capcurriculum.recipe import json_values

_LIMIT = "say sampling.max_tokens, and max_completion_tokens for its name"
#: Keys of a request's body that the engine owns, with where they are said instead.
_BODY: Mapping[str, str] = {
    "model": "say model",
    "messages": "the engine writes them",
    "n": "the engine sets it, up to max_n",
    "stream": "replies are read as a whole",
    "stream_options": "replies are read as a whole",
    "seed": "one seed would make all rollouts of a prompt the same",
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "chat_template_kwargs": "say chat_template_kwargs",
    "reasoning_effort": "say reasoning_effort",
}
#: Rows record these as the sampling says, so they can be left out, and not be given another value.
_SAMPLED = ("temperature", "top_p", "top_k")
#: Arguments of `apply_chat_template` that the engines set.
_TEMPLATE = frozenset(
    {
        "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "conversations",
        "load_audio_from_video", "max_length", "messages", "padding", "processor_kwargs",
        "return_assistant_tokens_mask", "return_dict", "return_tensors", "self", "tokenize", "tokenizer_kwargs",
        "truncation",
    }
)  # fmt: skip


def _body(extra: dict[str, Any]) -> dict[str, Any]:
    for key, value in extra.items():
        if key in _BODY:
            raise ValueError(f"{key} is not for extra_body: {_BODY[key]}")
        if key in _SAMPLED and value is not None:
            raise ValueError(f"{key} is not for extra_body: say it in the sampling; null leaves it out")
    return extra


def _template(told: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(_TEMPLATE & told.keys()):
        raise ValueError(f"{', '.join(taken)} is set by the engine; leave it out")
    return told


_JSON = BeforeValidator(json_values.checked)
ExtraBody = Annotated[dict[str, Any], _JSON, AfterValidator(_body)]
TemplateArguments = Annotated[dict[str, Any], _JSON, AfterValidator(_template)]
