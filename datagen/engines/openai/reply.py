"""What an endpoint said, in our words: a reply with its completions, or which kind of failure it was.

A body is believed only as far as it is understood: a completion that is not there, or is no text, is missing and is
asked for again; it never becomes an empty answer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Any

from capcurriculum.rows import Request, Response


class Kind(Enum):
    """Whom a failure concerns, and so what to do about it."""

    REQUEST = "this request alone: asking again would change nothing"
    BUSY = "the load: ask again later"
    BROKEN = "the endpoint: ask again, elsewhere if there is another"
    SILENT = "the endpoint, which did not even answer"
    FORBIDDEN = "the recipe: nothing can be asked there"


_FORBIDDEN = frozenset({401, 402, 403, 404, 405, 410})
_BUSY = frozenset({429, 503, 529})
#: Where servers put thoughts beside the reply.
_CHANNELS = ("reasoning_content", "reasoning")
ONLY_THOUGHTS = (
    "the model spoke only in its reasoning channel and its reply is empty; give it more tokens, or serve it so that "
    "its answer is in the reply"
)
_ASK_AGAIN = frozenset({408, 409, 425})


def kind_of(status: int) -> Kind:
    """The kind of failure that an HTTP status outside 2xx is."""
    if status in _BUSY:
        return Kind.BUSY
    if status in _FORBIDDEN or status < 400:
        return Kind.FORBIDDEN
    return Kind.BROKEN if status >= 500 or status in _ASK_AGAIN else Kind.REQUEST


class NoReply(Exception):
    """A request that brought no reply; its text is why. `retry_after` is in seconds."""

    def __init__(self, kind: Kind, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Completion:
    """One choice: its text, its finish reason, and why there is no text, where that is known."""

    text: str
    finish: str
    silence: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The completions of one HTTP request, and its tokens as the endpoint counted them (0 where it did not)."""

    completions: tuple[Completion, ...]
    tokens_in: int
    tokens_out: int


def parse(body: bytes) -> Reply:
    """Read the body of a 200.

    Raises:
        NoReply: it is not JSON, or holds no completion.
    """
    try:
        data = json.loads(body)
        if isinstance(data, dict) and data.get("error") and not data.get("choices"):
            raise NoReply(Kind.BROKEN, f"the endpoint's reply is an error: {_words(data['error'])}")
        choices = [_completion(choice) for choice in data["choices"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NoReply(Kind.BROKEN, "the endpoint's reply is not a chat completion") from error
    completions = tuple(choice for choice in choices if choice is not None)
    if not completions:
        raise NoReply(Kind.BROKEN, "the endpoint's reply holds no completion")
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(completions, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _completion(choice: Any) -> Completion | None:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return None
    text = _text(choice["message"].get("content"))
    if text is None:
        return None
    finish = choice.get("finish_reason")
    finish = _storable(finish[:40]) if isinstance(finish, str) and finish else "unknown"
    return Completion(_storable(text), finish, "" if text.strip() else _silence(choice["message"], finish))


def _text(content: Any) -> str | None:
    """The text of a message, also in parts; None for what is none."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    parts = [part.get("text") for part in content if part.get("type", "text") in ("text", "output_text")]
    return "".join(parts) if all(isinstance(part, str) for part in parts) else None


def _silence(message: dict[str, Any], finish: str) -> str:
    """Why a message has no text, where it says so; a truncated reply shows by its finish reason."""
    if any(message.get(channel) for channel in _CHANNELS):
        return ONLY_THOUGHTS
    if isinstance(message.get("refusal"), str) and message["refusal"].strip():
        return f"the model refused: {_words(message['refusal'])}"
    if message.get("tool_calls"):
        return "the model called a tool and said nothing"
    if finish == "content_filter":
        return "the endpoint's content filter stopped the reply"
    return ""


def _words(said: Any) -> str:
    """What a server or model says of a failure, on one line."""
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or json.dumps(said)
    return _storable(" ".join(str(said).split()))[:300]


def _storable(text: str) -> str:
    """JSON can spell half a surrogate pair, and UTF-8 cannot: such a half becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _count(value: Any) -> int:
    return min(value, 2**40) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def responses(requests: Sequence[Request], reply: Reply) -> Iterator[Response]:
    """The first requests' responses, one a completion; see `Response` for how tokens are shared out."""
    pairs = list(zip(requests, reply.completions, strict=False))
    ends = list(accumulate(len(completion.text) + 1 for _, completion in pairs))
    written = [reply.tokens_out * end // ends[-1] for end in ends]
    for place, (request, completion) in enumerate(pairs):
        yield Response(
            key=request.key,
            text=completion.text,
            finish=completion.finish,
            error=completion.silence,
            tokens_in=0 if place else reply.tokens_in,
            tokens_out=written[place] - (written[place - 1] if place else 0),
        )


def failed(requests: Sequence[Request], why: str) -> Iterator[Response]:
    """Error responses with the reason."""
    return (Response(request.key, "", "error", error=why) for request in requests)
