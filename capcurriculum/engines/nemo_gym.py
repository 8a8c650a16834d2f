"""An environment as a resources server of NeMo Gym, and its rows as the JSON lines that NeMo Gym reads.

Only `server` imports `nemo_gym`, which needs Python 3.13 and is not on PyPI.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from capcurriculum.engines import source
from capcurriculum.engines.rows import Row, rows
from capcurriculum.engines.scoring import Ungraded, score, whole_reply
from capcurriculum.engines.source import Selection, Split
from capcurriculum.files.data_url import of_image

_EXAMPLES = 5


def lines(given: Iterable[Row]) -> Iterator[str]:
    """A JSON line for each row: the request in OpenAI's Responses format, and what the server's `verify` reads."""
    for row in given:
        parts = [
            {"type": "input_text", "text": part}
            if isinstance(part, str)
            else {"type": "input_image", "image_url": of_image(part).decode(), "detail": "auto"}
            for part in row.content
        ]
        system = [{"role": "system", "content": row.system}] if row.system else []
        line = {
            "responses_create_params": {"input": [*system, {"role": "user", "content": parts}]},
            "question_id": row.key,
            "stage": row.stage,
            "ground_truth": row.gold,
            "options": list(row.extra.get("options") or ()),
            "answer_kind": row.extra.get("kind") or "",
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


def prepare(described: Path, folder: Path) -> None:
    """Write `train.jsonl`, `val.jsonl` and `example.jsonl` (the first five rows) of a `data.json` into `folder`.

    Raises:
        SourceError: the data cannot be read.
    """
    data = source.read(described)
    folder.mkdir(parents=True, exist_ok=True)
    splits = {split for stage in data.stages for split in stage.files}
    wanted: tuple[tuple[str, Split, int | None], ...] = (
        ("train", "train", None),
        ("val", "val", None),
        ("example", "train", _EXAMPLES),
    )
    for name, split, most in wanted:
        found = rows(data, Selection(split=split)) if split in splits else iter(())
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(islice(lines(found), most))


def reply(output: Iterable[Mapping[str, Any]]) -> str:
    """The whole reply in the output items of a response: its messages, with a reasoning item before them as thought."""
    thoughts, texts = list[str](), list[str]()
    for item in output:
        if item.get("type") == "reasoning":
            parts = item.get("content") or item.get("summary") or ()
            thoughts += [part["text"] for part in parts]
        elif item.get("type") == "message":
            texts += [part["text"] for part in item["content"] if part.get("type") == "output_text"]
    return whole_reply("".join(texts), "".join(thoughts))


def server() -> type[Any]:
    """The class of the resources server, whose `run_webserver` serves it."""
    from nemo_gym.base_resources_server import (
        BaseResourcesServerConfig,
        BaseVerifyRequest,
        BaseVerifyResponse,
        ReverifyMode,
        SimpleResourcesServer,
    )
    from nemo_gym.judge import JudgeError

    class Config(BaseResourcesServerConfig):
        REVERIFY_MODE = ReverifyMode.STATELESS

    class Request(BaseVerifyRequest):
        ground_truth: str
        options: list[str] = []  # noqa: RUF012 (pydantic copies it)
        answer_kind: str = ""
        question_id: str = ""
        stage: str = ""

    class Response(BaseVerifyResponse, Request):
        accuracy: float
        format: float
        outcome: str
        extracted_answer: str

    class CurriculumServer(SimpleResourcesServer):
        config: Config

        async def verify(self, body: Request) -> Response:
            text = reply(item.model_dump() for item in body.response.output)
            extra = {"options": body.options, "kind": body.answer_kind, "question_id": body.question_id}
            row = Row(body.question_id, body.stage, "", (), body.ground_truth, extra)
            try:
                found = await asyncio.to_thread(score, row, text)
            except Ungraded as error:  # NeMo Gym then keeps the row apart from those with a reward
                raise JudgeError(str(error)) from error
            return Response(
                **body.model_dump(),
                reward=found["score"],
                accuracy=found["accuracy"],
                format=found["format"],
                outcome=found["outcome"],
                extracted_answer=found["answer"],
            )

    return CurriculumServer
