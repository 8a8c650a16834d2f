"""An environment as a v1 taskset of `verifiers` 0.4, with pictures.

`verifiers` is imported here and nowhere else. A package of a set exports three classes: a subclass of
`CurriculumTaskset` that names its data, and `CurriculumEnv` and `OneReply`, which `verifiers` then takes by default.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import verifiers.v1 as vf
from openai import AsyncOpenAI
from verifiers.v1.dialects.chat import message_to_wire

from capcurriculum.engines import source
from capcurriculum.engines.rows import Row, rows
from capcurriculum.engines.scoring import refusal, score, whole_reply
from capcurriculum.files.data_url import of_image


class CurriculumConfig(vf.TasksetConfig):
    """Which rows are tasks; see `capcurriculum.engines.source.Selection`."""

    stage: list[str] = []  # noqa: RUF012 (pydantic copies it)
    """Stages by name, in the order of the curriculum whatever their order here (default: all)."""
    split: Literal["train", "val", "test"] = "train"
    """The split."""
    revision: str = ""
    """Another tag, branch or commit than the one that the package names."""
    folder: Path | None = None
    """A local folder with `<stage>/<split>-*.parquet` in place of the Hub."""


class CurriculumData(vf.TaskData):
    """One row: the prompt with its images as data URLs, and what the reward reads."""

    stage: str
    gold: str
    options: list[str] = []  # noqa: RUF012 (pydantic copies it)
    kind: str = ""

    def row(self) -> Row:
        """The row without its prompt."""
        extra = {"options": self.options, "kind": self.kind, "question_id": self.id or ""}
        return Row(self.id or "", self.stage, "", (), self.gold, extra)


class CurriculumTask(vf.Task[CurriculumData]):
    """The reward of training: 0.9 accuracy and 0.1 format, both also metrics.

    Where the grader fails, scoring raises, so that the rollout bears an error and not the reward 0.
    """

    @vf.metric
    async def parts(self, trace: vf.Trace) -> dict[str, float]:
        """Accuracy, format, and whether no answer could be read."""
        found = await self._scored(trace)
        return {
            "accuracy": float(found["accuracy"]),
            "format": float(found["format"]),
            "unparsed": float(found["outcome"] == "unparsed"),
        }

    @vf.reward
    async def reward(self, trace: vf.Trace) -> float:
        """The reward that verl's training gets."""
        return float((await self._scored(trace))["score"])

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the gold answer scores 1.0; asks no model."""
        return await asyncio.to_thread(refusal, self.data.row()) is None

    async def _scored(self, trace: vf.Trace) -> dict[str, float | str]:
        replies = trace.assistant_messages
        text = whole_reply(replies[-1].content, replies[-1].reasoning_content) if replies else ""
        # It may wait for a worker of math-verify; other rollouts go on meanwhile.
        return await asyncio.to_thread(score, self.data.row(), text)


class CurriculumTaskset(vf.Taskset[CurriculumTask, CurriculumConfig]):
    """The rows of a set in curriculum order; a subclass names its `data.json`."""

    DATA: ClassVar[Path]

    def load(self) -> Iterator[CurriculumTask]:
        """The tasks; the images of a few rows are in memory at a time."""
        own = self.config
        wanted = source.Selection(own.stage, own.split, own.revision, own.folder)
        for row in rows(source.read(self.DATA), wanted):
            yield CurriculumTask(_data(row), own.task)


class OneReply(vf.Harness[vf.HarnessConfig]):
    """Asks once and is done, in this process: no program, no sandbox, no download."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Send the system prompt and the row; `verifiers` records the reply."""
        system, prompt = self.resolve_prompt(data)
        messages = [message_to_wire(message) for message in prompt or []]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, max_retries=0, timeout=None) as client:
            await client.chat.completions.create(model=ctx.model, messages=messages)
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")


class CurriculumEnvConfig(vf.EnvConfig):
    """One agent; on this machine unless told otherwise, since it runs no code."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class CurriculumEnv(vf.Env[CurriculumEnvConfig]):
    """One agent that replies to one task."""

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        """One episode."""
        await agents.agent.run(task)


def _data(row: Row) -> CurriculumData:
    parts = [
        vf.TextContentPart(text=part)
        if isinstance(part, str)
        else vf.ImageUrlContentPart(image_url=vf.ImageUrlSource(url=of_image(part).decode()))
        for part in row.content
    ]
    return CurriculumData(
        id=row.key,
        stage=row.stage,
        system_prompt=row.system or None,
        prompt=[vf.UserMessage(content=parts)],
        gold=row.gold,
        options=list(row.extra.get("options") or ()),
        kind=str(row.extra.get("kind") or ""),
    )
