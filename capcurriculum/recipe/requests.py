"""What a recipe may add to a model's requests: keys of the body, and arguments of the chat template.

Both are free JSON under names that servers and templates define: bounded and copied here, and let through except for
what the engines set themselves.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

#: Of free JSON inside a recipe, for YAML's aliases make a small file stand for a huge value.
MOST_DEPTH, MOST_VALUES = 8, 1000
_LARGEST = 2**63
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


def _template(arguments: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(_TEMPLATE & arguments.keys()):
        raise ValueError(f"{', '.join(taken)} is set by the engine; leave it out")
    return arguments


def checked_json_values(value: object) -> dict[str, Any]:
    """A copy of a mapping that any JSON encoder writes and any reader takes.

    Raises:
        ValueError: it is no mapping, is nested too deeply or too large, or holds what JSON has not (infinity, a date, a
            key that is no text). Values are not repeated, as they may be secrets.
    """
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of names to JSON values, for example {enable_thinking: false}")
    copied: dict[str, Any] = _copied(value, 0, iter(range(MOST_VALUES + 1)))
    return copied


def _copied(value: object, depth: int, budget: Iterator[int]) -> Any:
    if depth > MOST_DEPTH:
        raise ValueError(f"is nested more than {MOST_DEPTH} deep")
    if next(budget, None) is None:
        raise ValueError(f"holds more than {MOST_VALUES} values")
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) < _LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
        case int() | float():
            raise ValueError("holds a number that JSON cannot carry; it must be finite and have at most 64 bits")
        case list():
            return [_copied(inner, depth + 1, budget) for inner in value]
        case dict():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("has a key that is no text; put it in quotes")
            return {name: _copied(inner, depth + 1, budget) for name, inner in value.items()}
    raise ValueError(f"holds a {type(value).__name__}, which JSON has not; put it in quotes")


_JSON = BeforeValidator(checked_json_values)
ExtraBody = Annotated[dict[str, Any], _JSON, AfterValidator(_body)]
TemplateArguments = Annotated[dict[str, Any], _JSON, AfterValidator(_template)]
