"""One HTTP exchange with an endpoint, its every failure put into words that hold no secret."""

import asyncio
import os
import ssl
from datetime import UTC, datetime
from functools import cache
from typing import Any

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.terminal import visible
from datagen.engines.openai import headers
from datagen.engines.openai.body import greeting
from datagen.engines.openai.concurrency import Pace, retry_after_seconds
from datagen.engines.openai.endpoints import Endpoint
from datagen.engines.openai.reply import Kind, NoReply, Reply, kind_of, parse

CONNECT_SECONDS = 10.0
ALIVE_SECONDS = 60.0
NO_KEY = "EMPTY"


@cache
def _certificates() -> ssl.SSLContext:
    """The certificate authorities of this machine, read once a process: that takes longer than many a request."""
    import httpx2

    return httpx2.create_ssl_context()


class Wire:
    """The clients of a model's endpoints; `endpoints` share the key and the headers that the recipe names.

    Raises:
        EngineError: the openai package is missing, or a header's value is not in the environment.
    """

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self.timeout = section.timeout_seconds
        self._key = os.environ.get(section.api_key_env) or NO_KEY
        self._headers = headers.resolve(section)
        self._redactor = headers.Redactor({*self._headers.secrets, self._key} - {NO_KEY})
        self.endpoints = [self._endpoint(url, section) for url in dict.fromkeys(section.base_urls)]

    def _endpoint(self, url: str, section: ModelSection) -> Endpoint:
        try:
            import httpx2
            from openai import AsyncOpenAI, DefaultAioHttpClient

            from datagen.engines.openai import bounded
        except ImportError as error:
            raise EngineError("The openai engine needs openai 3.54 or newer; install capcurriculum again.") from error
        # As many connections as requests, and one for the greeting; aiohttp's default is 100.
        limits = httpx2.Limits(max_connections=section.concurrency + 1, max_keepalive_connections=section.concurrency)
        # A reply's time is limited as a whole by `post`, so that one that trickles in byte by byte ends too.
        timeout = httpx2.Timeout(None, connect=min(CONNECT_SECONDS, self.timeout))
        client = AsyncOpenAI(
            base_url=url,
            api_key=self._key,
            max_retries=0,
            default_headers={**self._headers.values, **bounded.PLAIN},
            http_client=DefaultAioHttpClient(
                verify=_certificates(),
                limits=limits,
                timeout=timeout,
                # Redirected to another host, the client would take along every header but Authorization.
                follow_redirects=not self._headers.values,
                event_hooks={"response": [bounded.hook(section.reply_bytes)]},
            ),
        )
        return Endpoint(url, client, Pace(section.concurrency))

    async def post(self, endpoint: Endpoint, body: bytes) -> Reply:
        """Ask for completions.

        Raises:
            NoReply: whatever came instead.
        """
        import aiohttp
        import httpx2
        import openai

        options: Any = {"headers": {"Content-Type": "application/json"}}
        try:
            async with asyncio.timeout(self.timeout):
                response = await endpoint.client.post(
                    "/chat/completions", cast_to=httpx2.Response, content=body, options=options
                )
            return parse(response.content)
        except TimeoutError as error:
            raise NoReply(Kind.SILENT, f"no reply within {self.timeout:g} seconds") from error
        except openai.APIStatusError as error:
            asked = retry_after_seconds(error.response.headers.get("retry-after"), datetime.now(UTC))
            raise NoReply(kind_of(error.status_code), self._words(error), asked) from error
        except openai.APIConnectionError as error:
            cause = f" ({self._words(error.__cause__)})" if error.__cause__ else ""
            raise NoReply(Kind.SILENT, self._words(error).removesuffix(".") + cause) from error
        except aiohttp.ClientError as error:  # the client has no word of its own for a reply that is no HTTP
            raise NoReply(Kind.BROKEN, f"the endpoint's reply is no HTTP ({self._words(error)})") from error
        except NoReply as problem:  # of `parse`, or of `bounded`
            raise NoReply(problem.kind, self._words(problem), problem.retry_after) from problem

    async def alive(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint serves the smallest request: then a failure was the request's own."""
        try:
            async with asyncio.timeout(ALIVE_SECONDS):
                await self.post(endpoint, greeting(self.section))
        except TimeoutError:
            return False
        except NoReply as problem:
            return problem.kind is Kind.REQUEST
        return True

    def _words(self, error: BaseException) -> str:
        """The error on one line, safe to print, without secrets that the server may have echoed."""
        return visible(self._redactor.line(str(error) or type(error).__name__))[:300]

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self.endpoints:
            await endpoint.client.close()
