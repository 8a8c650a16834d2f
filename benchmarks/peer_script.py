"""The job of `benchmarks.peer_job` as the usual script does it: `AsyncOpenAI`, a semaphore, `gather` over all captions.

    python -m benchmarks.peer_script URL FOLDER CONCURRENCY

Each caption is asked for a question, both solvers answer it from the image and from the caption, and a row is kept that
is not right from the image and right from the caption; what cannot be read is not right. Prints the marks of kept rows.
"""

import asyncio
import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

from openai import APIError, AsyncOpenAI

TEACHER = (
    "Write a multiple-choice question about the image of this caption. Reply with one JSON object: question, options "
    "(A to D), answer.\nCaption:{caption}"
)


async def job(url: str, folder: Path, concurrency: int) -> list[str]:
    """The marks of the rows kept."""
    client, limit = (
        AsyncOpenAI(base_url=url, api_key="EMPTY", timeout=600, max_retries=4),
        asyncio.Semaphore(concurrency),
    )

    async def ask(model: str, content: Any) -> str:
        async with limit:
            try:
                said = await client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": content}], max_tokens=512, temperature=0
                )
            except (APIError, json.JSONDecodeError, UnicodeDecodeError):
                return ""
        return said.choices[0].message.content or ""

    async def right(model: str, content: Any, gold: str) -> bool:
        found = re.findall(r"boxed\{([A-D])\}", await ask(model, content))
        return bool(found) and found[-1] == gold

    async def row(record: dict[str, Any]) -> str:
        try:
            made = json.loads(await ask("teacher", TEACHER.format(caption=record["description"])))
        except json.JSONDecodeError:
            return ""
        options = "\n".join(f"{letter}: {text}" for letter, text in made["options"].items())
        problem = f"{made['question']}\n{options}\nPut the letter into \\boxed{{}}."
        image = base64.b64encode((folder / "images" / record["image_file"]).read_bytes()).decode()
        shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
        arms = ([shown, {"type": "text", "text": problem}], f"{record['description']}\n{problem}")
        said = await asyncio.gather(*(right(s, arm, made["answer"]) for s in ("one", "two") for arm in arms))
        return made["question"].split()[-1].rstrip("?") if said == [False, True, False, True] else ""

    lines = (folder / "docci_descriptions.jsonlines").read_text(encoding="utf-8").splitlines()
    return [mark for mark in await asyncio.gather(*map(row, map(json.loads, lines))) if mark]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(job(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))))
