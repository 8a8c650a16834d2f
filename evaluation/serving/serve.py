"""`capcurriculum serve`: one model behind an OpenAI-compatible API until Ctrl-C, with a request to try it."""

import base64
import json
import shlex
import time
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image

from capcurriculum import prompts
from capcurriculum.errors import EvaluationError
from capcurriculum.render.terminal import say
from evaluation.serving import server, vllm_command
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import Launch, ServeOptions

_POLL = 0.5
_OPTIONS = {"A": "red", "B": "green", "C": "blue", "D": "white"}


def serve(target: Target, options: ServeOptions, patience_seconds: float, *, dry_run: bool) -> None:
    """Serve until the server ends, or print its command with `dry_run`.

    Raises:
        CapCurriculumError: the server cannot be started, or it ended.
        KeyboardInterrupt: Ctrl-C, after every process of the server has ended.
    """
    if target.remark:
        say(f"note: {target.remark} The model may have been trained on either.", error=True)
    if dry_run:
        say(vllm_command.launch(target, options).shell())
        return
    if not options.port:
        options = replace(options, port=server.free_port())
    launch = vllm_command.launch(target, options)
    say(f"Starting {target.label}; its log is {server.folder_of(launch) / 'server.log'}.")
    with server.serving(launch, patience_seconds) as running:
        say(f"{launch.served} is ready at {launch.url}; Ctrl-C ends it. Try it:", "", curl(launch, target), "")
        while not (ended := running.ended()):
            time.sleep(_POLL)
    raise EvaluationError(f"{ended}.")


def curl(launch: Launch, target: Target) -> str:
    """A command that sends an example request to the server."""
    data = shlex.quote(json.dumps(body(launch, target), ensure_ascii=False))
    return f"curl -s {launch.url}/chat/completions -H 'Content-Type: application/json' -d {data}"


def body(launch: Launch, target: Target) -> dict[str, Any]:
    """An example request with the messages of training and evaluation."""
    image = BytesIO()
    Image.new("RGB", (64, 64), (0, 0, 200)).save(image, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
    text = prompts.choice("What color is the picture?", _OPTIONS)
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    system = [{"role": "system", "content": prompts.system()}] if target.system else []
    return {
        "model": launch.served,
        "messages": [*system, {"role": "user", "content": parts}],
        "temperature": 0,
        "max_tokens": vllm_command.reply_tokens(target.base),
    }
