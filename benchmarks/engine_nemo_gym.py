"""NeMo Gym's part of `benchmarks.engines`, which runs in NeMo Gym's environment (docs/engines.md#nemo-gym)."""

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from fastapi.testclient import TestClient
from nemo_gym.config_types import maybe_get_server_instance_config
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient
from omegaconf import OmegaConf

from capcurriculum.engines import nemo_gym, source
from capcurriculum.engines.rows import rows
from capcurriculum.engines.scoring import gold_reply
from capcurriculum.engines.source import Selection


def client() -> TestClient:
    """A client of the resources server over its own HTTP application."""
    kind = nemo_gym.server()
    config = kind.model_fields["config"].annotation(host="localhost", port=8080, entrypoint="app.py", name="demo")
    return TestClient(kind(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver())


def body(row: dict[str, Any]) -> dict[str, Any]:
    """What an agent sends to `verify` for a reply."""
    text = {"type": "output_text", "text": row["reply"], "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    response = {
        "id": "r", "created_at": 0.0, "model": "m", "object": "response", "output": [message],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    return {
        "responses_create_params": {"input": [{"role": "user", "content": "?"}]},
        "response": response,
        "ground_truth": row["ground_truth"],
        "options": list(row["options"]),
        "answer_kind": row["kind"] or "",
    }


def score() -> list[float | None]:
    """The rewards of the replies on stdin; None where the server sends a failure row."""
    asked = client()
    found = [asked.post("/verify", json=body(json.loads(line))).json() for line in sys.stdin]
    return [None if "_ng_failure_class" in one else one["reward"] for one in found]


def train(files: str, model: str, folder: str) -> dict[str, Any]:
    """One full scoring pass over the rows of a file, each with the reply of its gold answer; no model is asked."""
    below = Path(files)
    stage = source.StageFiles(name="merged", folder=str(below.parent), files={"train": (below.name,)})
    given = list(rows(source.Source(name="x", capcurriculum="x", stages=(stage,)), Selection()))
    asked, scored = client(), 0
    for row in given:
        told = {"reply": gold_reply(row), "ground_truth": row.gold} | {
            name: row.extra[name] for name in ("options", "kind")
        }
        scored += asked.post("/verify", json=body(told)).json()["reward"] == 1.0
    return {"steps": scored, "rows": len(given)}


def read(folder: str) -> dict[str, Any]:
    """The rows of an environment's folder that are requests of NeMo Gym, and the servers that its configuration has."""
    root = Path(folder)
    (described,) = root.glob(f"*/{source.NAME}")
    (config,) = root.rglob("configs/*.yaml")
    asked = 0
    for line in nemo_gym.lines(rows(source.read(described), Selection())):
        NeMoGymResponseCreateParamsNonStreaming.model_validate(json.loads(line)["responses_create_params"])
        asked += 1
    found = [maybe_get_server_instance_config(name, told) for name, told in OmegaConf.load(config).items()]
    return {"rows": asked, "servers": [type(server).__name__ for server, error in found if error is None]}


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    commands: dict[str, Any] = {"score": score, "train": train, "read": read}
    print(json.dumps(commands[command](*words)))
