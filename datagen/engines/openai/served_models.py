"""The models that an OpenAI-compatible endpoint says it serves."""

import http.client
import json
import urllib.request

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import REPLY_BYTES

_SECONDS = 30.0


def names(url: str, secret: str = "") -> list[str]:
    """The ids that `url`/models lists; `secret` is the key that is sent there.

    Raises:
        EngineError: it does not answer, or not with such a list.
    """
    request = urllib.request.Request(f"{url}/models")  # noqa: S310 - http or https, see `trust.endpoint_urls`
    if secret:
        request.add_unredirected_header("Authorization", f"Bearer {secret}")  # not to the target of a redirect
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as reply:  # noqa: S310
            data = reply.read(REPLY_BYTES + 1)
        if len(data) > REPLY_BYTES:
            raise ValueError(f"its reply has more than {REPLY_BYTES:,} bytes")
        return [str(one["id"]) for one in json.loads(data)["data"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineError(
            f"The endpoint {url} does not list its models ({error}); start it, or correct its URL."
        ) from error
