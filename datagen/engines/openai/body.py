"""The JSON body of a chat completion, put together from bytes so that no image passes through a JSON encoder."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request
from datagen.engines.data_urls import DataURLs

#: Stands for an image while the rest is encoded; drawn anew in each process, so no prompt can contain it.
_MARK = uuid4().hex


async def body(section: ModelSection, request: Request, n: int, urls: DataURLs) -> bytes:
    """What is posted to ask `request` for `n` completions. No seed: some endpoints reject it.

    Raises:
        ImageProblem: an image cannot be read or resized.
    """
    pieces = json.dumps(_arguments(section, request, n)).encode().split(_MARK.encode())
    parts = pieces[:1]
    for path, piece in zip(request.image_paths, pieces[1:], strict=True):
        parts += (await urls.get(path), piece)
    return b"".join(parts)


def greeting(section: ModelSection) -> bytes:
    """The smallest question there is, asked as the recipe says that this model is asked."""
    turn = {"role": "user", "content": "Hi"}
    arguments = {"model": section.model, "messages": [turn], "temperature": 0, "max_tokens": 1}
    return json.dumps(_as_told(section, arguments)).encode()


def _arguments(section: ModelSection, request: Request, n: int) -> dict[str, Any]:
    sampling = request.sampling
    arguments: dict[str, Any] = {
        "model": section.model,
        "messages": list(_messages(request)),
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
    return _as_told(section, arguments)


def _as_told(section: ModelSection, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments under the names, with the additions and without what the recipe says of this model."""
    told = dict(arguments)
    if section.max_completion_tokens:
        told["max_completion_tokens"] = told.pop("max_tokens")
    if section.chat_template_kwargs:
        told["chat_template_kwargs"] = section.chat_template_kwargs
    if section.reasoning_effort:
        told["reasoning_effort"] = section.reasoning_effort
    return {key: value for key, value in (told | section.extra_body).items() if value is not None}


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    for message in request.messages:
        yield {"role": message.role, "content": _content(message)}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": _MARK}}] * message.images
    return [*parts, {"type": "text", "text": message.text}]
