"""The JSON body of a chat completion, put together from bytes so that no image passes through a JSON encoder."""

import json
from typing import Any
from uuid import uuid4

from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request
from datagen.engines.data_urls import DataURLs

#: Stands for an image while the rest is encoded; drawn anew in each process, so no prompt can contain it.
_MARK = uuid4().hex


async def body(section: ModelSection, request: Request, n: int, urls: DataURLs) -> bytes:
    """The body of the POST for `n` completions of `request`. No seed: some endpoints reject it.

    Raises:
        ImageProblem: an image cannot be read or resized.
    """
    pieces = json.dumps(_arguments(section, request, n)).encode().split(_MARK.encode())
    parts = pieces[:1]
    for path, piece in zip(request.image_paths, pieces[1:], strict=True):
        parts += (await urls.get(path), piece)
    return b"".join(parts)


def greeting(section: ModelSection) -> bytes:
    """The body of the smallest request, with the arguments that the recipe sets for this model."""
    turn = {"role": "user", "content": "Hi"}
    arguments = {"model": section.model, "messages": [turn], "temperature": 0, "max_tokens": 1}
    return json.dumps(_for_model(section, arguments)).encode()


def _arguments(section: ModelSection, request: Request, n: int) -> dict[str, Any]:
    sampling = request.sampling
    arguments: dict[str, Any] = {
        "model": section.model,
        "messages": [{"role": message.role, "content": _content(message)} for message in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": section.reply_limit(sampling.max_tokens),
    }
    if sampling.top_k:
        arguments["top_k"] = sampling.top_k
    if n > 1:
        arguments["n"] = n
    if request.schema and section.structured:
        schema = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    return _for_model(section, arguments)


def _for_model(section: ModelSection, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the recipe sets them for this model: renamed, added to, those that are null left out."""
    made = dict(arguments)
    if section.max_completion_tokens:
        made["max_completion_tokens"] = made.pop("max_tokens")
    if section.chat_template_kwargs:
        made["chat_template_kwargs"] = section.chat_template_kwargs
    if section.reasoning_effort:
        made["reasoning_effort"] = section.reasoning_effort
    return {key: value for key, value in (made | section.extra_body).items() if value is not None}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": _MARK}}] * message.images
    return [*parts, {"type": "text", "text": message.text}]
