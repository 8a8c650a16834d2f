"""verifiers' part of `benchmarks.engines`, which runs in verifiers' environment."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.graph import MessageNode
from verifiers.v1.state import state_cls

from capcurriculum.engines import source
from capcurriculum.engines.scoring import Ungraded
from capcurriculum.engines.verifiers import CurriculumData, CurriculumTask


async def scored(row: dict[str, Any]) -> float | None:
    """The reward that a rollout with this reply gets from verifiers; None where it gets an error."""
    data = CurriculumData(stage="", gold=row["ground_truth"], options=list(row["options"]), kind=row["kind"] or "")
    task = CurriculumTask(data)
    trace: Any = vf.Trace(
        task=vf.TraceTask(type=type(task).__name__, data=data, key=task.key, hash=task.hash),
        state=state_cls(type(task))(),
        agent=vf.AgentInfo(config=vf.AgentConfig(), name="agent", trainable=False),
    )
    trace.nodes.append(MessageNode(message=vf.AssistantMessage(content=row["reply"]), sampled=True))
    try:
        await task.score(trace)
    except vf.TaskError as error:
        if not isinstance(error.__cause__, Ungraded):
            raise
        return None
    return float(trace.reward)


async def score() -> list[float | None]:
    """The scores of the replies on stdin."""
    limit = asyncio.Semaphore(8)

    async def one(line: str) -> float | None:
        async with limit:
            return await scored(json.loads(line))

    return list(await asyncio.gather(*(one(line) for line in sys.stdin)))


def train(files: str, model: str, folder: str) -> dict[str, Any]:
    """One full pass of `vf-eval` over the rows of a file, whose model, on loopback, says B to all; none is trained."""
    below, root = Path(files), Path(folder)
    stage = source.StageFiles(name="merged", folder=str(below.parent), files={"train": (below.name,)})
    package = root / "rows_env"
    package.mkdir(parents=True)
    (package / source.NAME).write_bytes(source.Source(name="x", capcurriculum="x", stages=(stage,)).encoded())
    (package / "__init__.py").write_text(_PACKAGE, encoding="utf-8")
    with _serving() as (url, pictures):
        words = ["-m", "m", "--client.base-url", url, "--client.api-key-var", "KEY", "--no-push", "--no-rich"]
        words += ["-o", str(root / "out"), "--run.name", "all"]
        command = [str(Path(sys.executable).with_name("vf-eval")), "rows-env", *words]
        paths = os.pathsep.join((str(root), os.environ["PYTHONPATH"]))
        subprocess.run(command, env=os.environ | {"PYTHONPATH": paths, "KEY": "x"}, check=True, capture_output=True)
    lines = (root / "out" / "all" / "traces.jsonl").read_text(encoding="utf-8").splitlines()
    rewards = [one["rewards"]["reward"]["score"] for line in lines for one in json.loads(line)["traces"] if one["ok"]]
    return {"steps": len(rewards), "rows": len(lines), "pictures": sum(pictures), "reward": sum(rewards) / len(rewards)}


#: What `cards.environment` writes, whose template needs more than this environment has.
_PACKAGE = """from pathlib import Path
from capcurriculum.engines.verifiers import CurriculumEnv, CurriculumTaskset, OneReply

class Taskset(CurriculumTaskset):
    DATA = Path(__file__).with_name("data.json")

__all__ = ["CurriculumEnv", "OneReply", "Taskset"]
"""


@contextmanager
def _serving() -> Iterator[tuple[str, list[int]]]:
    """The address of a chat endpoint that says B, and the number of pictures of each request."""
    pictures = list[int]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            parts = asked["messages"][-1]["content"]
            pictures.append(sum(part["type"] == "image_url" for part in parts))
            message = {"role": "assistant", "content": r"<think>I see.</think> \boxed{B}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            said = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            data = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", pictures
        finally:
            server.shutdown()


COMMANDS: dict[str, Callable[..., Any]] = {"score": lambda: asyncio.run(score()), "train": train}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
