"""`PYTHON bedrock.py PORT MODEL`, run by VLMEvalKit's Python: its class for Amazon Bedrock behind the OpenAI protocol.

The kit judges through an OpenAI-compatible endpoint only. Here that endpoint is the kit's own `BedrockAPI`, so that
nothing of the kit is patched. Credentials are those of the environment, as boto3 finds them.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vlmeval.api import BedrockAPI


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


def handler(model: Any) -> type[BaseHTTPRequestHandler]:
    """The two things this server does: say that it is up, and answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2**16

        def do_GET(self) -> None:
            self._send(200 if self.path == "/health" else 404, {})

        def do_POST(self) -> None:
            try:
                self._send(*answer(model, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            except (ValueError, KeyError, TypeError) as error:
                self._send(400, {"error": {"message": str(error)}})

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Handler


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler(BedrockAPI(sys.argv[2], retry=1))).serve_forever()
