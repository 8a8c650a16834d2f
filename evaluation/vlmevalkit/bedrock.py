"""`PYTHON bedrock.py PORT MODEL`, run by VLMEvalKit's Python: its class for Amazon Bedrock behind the OpenAI protocol.

The kit judges through an OpenAI-compatible endpoint only. Here that endpoint is the kit's own `BedrockAPI`, so that
nothing of the kit is patched. Credentials are those of the environment, as boto3 finds them, and so is the token of who
may ask (`BEDROCK_TOKEN`).
"""

import json
import os
import runpy
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vlmeval.api import BedrockAPI

# The file alone, for the kit's Python does not have this package.
Guarded: Any = runpy.run_path(str(Path(__file__).parents[1] / "serving" / "guarded.py"))["Guarded"]


def answer(model: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and reply of one chat completion; texts only, as judges are asked."""
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    inputs = [{"role": turn["role"], "content": [{"type": "text", "value": _text(turn)}]} for turn in turns]
    code, text, log = model.generate_inner(
        inputs, temperature=body.get("temperature", 0), max_tokens=body.get("max_tokens", 2048)
    )
    if code != 0 or model.fail_msg in text:
        return 502, {"error": {"message": str(log)[:500]}}
    usage = log.get("usage", {}) if isinstance(log, dict) else {}
    message = {"role": "assistant", "content": text}
    told = {"prompt_tokens": usage.get("inputTokens"), "completion_tokens": usage.get("outputTokens")}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": told}


def _text(turn: dict[str, Any]) -> str:
    content = turn["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def handler(model: Any, secret: str) -> Any:
    """The two things this server does: say that it is up, and answer."""

    class Handler(Guarded):
        token = secret

        def do_GET(self) -> None:
            self.send(200 if self.path == "/health" else 404, b"{}")

        def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
            try:
                status, told = answer(model, body)
            except (ValueError, KeyError, TypeError) as error:
                status, told = 400, {"error": {"message": str(error)}}
            return status, json.dumps(told).encode()

    return Handler


if __name__ == "__main__":
    serving = handler(BedrockAPI(sys.argv[2], retry=1), os.environ.pop("BEDROCK_TOKEN"))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), serving).serve_forever()
