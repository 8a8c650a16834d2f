"""`PYTHON bedrock.py PORT MODEL`, run by VLMEvalKit's Python: serve its `BedrockAPI` through the OpenAI protocol.

The kit judges through OpenAI-compatible endpoints only; this is one over the kit's own class, so that nothing of the
kit is patched. Credentials come from the environment, as boto3 finds them, and so does the token of clients
(`BEDROCK_TOKEN`).
"""

import json
import os
import runpy
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vlmeval.api import BedrockAPI

# Run as a file, since the kit's environment does not have this package.
Guarded: Any = runpy.run_path(str(Path(__file__).parents[1] / "serving" / "guarded.py"))["Guarded"]


def answer(model: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and reply of one chat completion of texts."""
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    inputs = [{"role": turn["role"], "content": [{"type": "text", "value": _text(turn)}]} for turn in turns]
    code, text, log = model.generate_inner(
        inputs, temperature=body.get("temperature", 0), max_tokens=body.get("max_tokens", 2048)
    )
    if code != 0 or model.fail_msg in text:
        return 502, {"error": {"message": str(log)[:500]}}
    usage = log.get("usage", {}) if isinstance(log, dict) else {}
    message = {"role": "assistant", "content": text}
    spent = {"prompt_tokens": usage.get("inputTokens"), "completion_tokens": usage.get("outputTokens")}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": spent}


def _text(turn: dict[str, Any]) -> str:
    content = turn["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def handler(model: Any, secret: str) -> Any:
    """The request handler: a health check and chat completions."""

    class Handler(Guarded):
        token = secret

        def do_GET(self) -> None:
            self.send(200 if self.path == "/health" else 404, b"{}")

        def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
            try:
                status, reply = answer(model, body)
            except (ValueError, KeyError, TypeError) as error:
                status, reply = 400, {"error": {"message": str(error)}}
            return status, json.dumps(reply).encode()

    return Handler


if __name__ == "__main__":
    serving = handler(BedrockAPI(sys.argv[2], retry=1), os.environ.pop("BEDROCK_TOKEN"))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), serving).serve_forever()
