"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, or a hosted model.

Requests run at once up to the recipe's concurrency. A refusal that concerns one request (400, 413, 422) is that
request's error; one that concerns the endpoint is tried again with growing pauses, and then stops the build with a
sentence, because rows must not be marked as failed for a server that is down.
"""

import asyncio
import base64
import json
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capcurriculum.errors import EngineError
from capcurriculum.recipe import ModelSection
from capcurriculum.rows import Message, Request, Response

TRIES = 7
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
#: Statuses that say something about this request alone, so asking again would change nothing.
REQUEST_STATUSES = frozenset({400, 413, 422})
_MIME = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp", b"GI": "image/gif", b"BM": "image/bmp"}


class OpenAIEngine:
    """Chat completions over HTTP."""

    def __init__(self, section: ModelSection) -> None:
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise EngineError("The openai engine needs the openai package; install capcurriculum again.") from error
        self.section = section
        self.loop = asyncio.new_event_loop()
        key = os.environ.get(section.api_key_env) or "EMPTY"
        self.clients = [
            AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=section.timeout_seconds)
            for url in section.base_urls
        ]
        self.sent = 0

    @property
    def window(self) -> int | None:
        """See `Engine.window`."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            self.loop.run_until_complete(client.close())
        self.loop.close()

    def stream(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Responses as they finish, at most `concurrency` in flight; see `Engine.stream`."""
        waiting = iter(requests)
        flying: set[asyncio.Task[Response]] = set()
        try:
            while True:
                while len(flying) < self.section.concurrency and (request := next(waiting, None)) is not None:
                    flying.add(self.loop.create_task(self._ask(request)))
                if not flying:
                    return
                done, flying = self.loop.run_until_complete(asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED))
                for task in done:
                    yield task.result()
        finally:
            for task in flying:
                task.cancel()
            if flying:
                self.loop.run_until_complete(asyncio.wait(flying))

    async def _ask(self, request: Request) -> Response:
        import openai

        self.sent += 1
        client = self.clients[self.sent % len(self.clients)]
        arguments = await asyncio.to_thread(self._arguments, request)
        problem = ""
        for attempt in range(TRIES):
            try:
                return _response(request, await client.chat.completions.create(**arguments))
            except openai.APIStatusError as error:
                if error.status_code in REQUEST_STATUSES:
                    return Response(request.key, "", "error", error=_sentence(error))
                if error.status_code in (401, 403, 404):
                    raise EngineError(self._refused(client, _sentence(error))) from error
                problem = _sentence(error)
                await asyncio.sleep(_pause(attempt, error.response.headers.get("retry-after")))
            except openai.APIConnectionError as error:
                problem = _sentence(error)
                await asyncio.sleep(_pause(attempt, None))
        raise EngineError(self._refused(client, problem))

    def _refused(self, client: Any, problem: str) -> str:
        return (
            f"The endpoint {client.base_url} does not serve {self.section.model}: {problem}; "
            "start or mend it and run the same command again, finished rows are kept."
        )

    def _arguments(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        arguments: dict[str, Any] = {
            "model": self.section.model,
            "messages": list(_messages(request)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        if sampling.top_k:
            arguments["extra_body"] = {"top_k": sampling.top_k}
        if request.schema and self.section.structured:
            schema = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        return arguments


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    images = iter(request.image_paths)
    for message in request.messages:
        yield {"role": message.role, "content": _content(message, images)}


def _content(message: Message, images: Iterator[str]) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    parts = [{"type": "image_url", "image_url": {"url": data_url(next(images))}} for _ in range(message.images)]
    return [*parts, {"type": "text", "text": message.text}]


def data_url(path: str) -> str:
    """The image file as a data URL, its kind told by its first bytes."""
    data = Path(path).read_bytes()
    mime = _MIME.get(data[:2], "application/octet-stream")
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _response(request: Request, completion: Any) -> Response:
    choice = completion.choices[0]
    usage = completion.usage
    return Response(
        key=request.key,
        text=choice.message.content or "",
        finish=choice.finish_reason or "unknown",
        tokens_in=usage.prompt_tokens if usage else 0,
        tokens_out=usage.completion_tokens if usage else 0,
    )


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: what the server asks for, else exponential, with jitter so that clients part."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), LONGEST_PAUSE_SECONDS)
    longest = min(FIRST_PAUSE_SECONDS * 2.0**attempt, LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
