"""verifiers' part of `benchmarks.engines`, which runs in verifiers' environment."""

import asyncio
import json
import sys
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.graph import MessageNode
from verifiers.v1.state import state_cls

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
    except vf.TaskError:
        return None
    return float(trace.reward)


async def score() -> list[float | None]:
    """The scores of the replies on stdin."""
    limit = asyncio.Semaphore(8)

    async def one(line: str) -> float | None:
        async with limit:
            return await scored(json.loads(line))

    return list(await asyncio.gather(*(one(line) for line in sys.stdin)))


if __name__ == "__main__":
    print(json.dumps(asyncio.run({"score": score}[sys.argv[1]]())))
