"""vLLM in this process, for real, with the micro model; one engine serves the whole module."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import prompts
from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection, VLLMSection
from capcurriculum.rows import Message, Request, Response, Sampling
from datagen import engines
from datagen.engines.protocol import Engine
from datagen.micro import evaluate as measure
from datagen.micro.tasks import user
from datagen.teacher import mcq

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SECTION = ModelSection(
    engine="vllm",
    model="micro:solver_b",
    max_n=4,
    vllm=VLLMSection(max_model_len=512, max_num_seqs=32, in_flight=24),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    before = dict(os.environ)
    with engines.create(SECTION) as opened:
        yield opened
    os.environ.clear()
    os.environ.update(before)


def looking(held: measure.Held, path: Path, rollout: int = 0, temperature: float = 0.0) -> Request:
    turns = (Message("system", prompts.system()), Message("user", held.problem, images=1))
    sampling = Sampling(temperature=temperature, max_tokens=60)
    return Request.make("m", turns, sampling, images=((path.name, str(path)),), rollout=rollout)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[measure.Held, Path]]:
    folder = tmp_path_factory.mktemp("shown")
    found = []
    for number, held in enumerate(measure.held_out(16, seed=3)):
        path = folder / f"{number}.png"
        measure.picture(held.scene).save(path)
        found.append((held, path))
    return found


def test_it_sees_what_the_model_sees_in_transformers(engine: Engine, shown: list[tuple[measure.Held, Path]]) -> None:
    from datagen.micro import checkpoint
    from datagen.micro.evaluate import Speaker

    requests = [looking(held, path) for held, path in shown]
    replies = {r.key: r.text for r in engine.stream(requests)}
    chats = [user(held.problem, image=True) for held, _ in shown]
    expected = Speaker(checkpoint("solver_b")).say(chats, [measure.picture(h.scene) for h, _ in shown])
    same = sum(replies[r.key].strip() == text.strip() for r, text in zip(requests, expected, strict=True))
    assert same >= len(shown) - 1  # float32 sums in another order may turn a near tie


def test_rollouts_share_a_prompt_and_every_request_gets_its_own_reply(
    engine: Engine, shown: list[tuple[measure.Held, Path]]
) -> None:
    requests = [looking(held, path, k, 1.0) for held, path in shown for k in range(6)]
    taken: list[Response] = []
    ahead = []

    def feeding() -> Iterator[Request | None]:
        for number, request in enumerate(requests):
            ahead.append(number - len(taken))
            yield request
            if number % 7 == 6:
                yield None

    for response in engine.stream(feeding()):
        taken.append(response)
    assert sorted(r.key for r in taken) == sorted(r.key for r in requests)
    assert all(r.finish == "stop" for r in taken)
    assert len({r.text for r in taken}) > len(shown)  # sampled, not copied
    assert max(ahead) <= SECTION.vllm.in_flight + SECTION.max_n + 7
    counted = [r for r in taken if r.tokens_in]
    # Four and two rollouts of a prompt are a group each, some of them parted by a pause; its tokens count once a group.
    assert 2 * len(shown) <= len(counted) <= 2 * len(shown) + len(requests) // 7


def test_a_schema_binds_and_the_teacher_is_taken(engine: Engine) -> None:
    asked = measure.held_out(8, seed=4)
    sampling = Sampling(temperature=measure.DEMO_TEACHING, max_tokens=160)
    requests = [
        Request.make("m", (Message("user", prompts.teacher_caption(q.caption, "spatial")),), sampling,
                     schema=mcq.JSON_SCHEMA)
        for q in asked
    ]  # fmt: skip
    replies = {r.key: r for r in engine.stream(requests)}
    whole = [r for r in replies.values() if r.finish == "stop"]
    assert len(whole) >= 6
    assert all(json.loads(r.text).keys() == {"question", "options", "answer"} for r in whole)
    judged = [measure.judge(replies[r.key].text, q.caption) for r, q in zip(requests, asked, strict=True)]
    assert sum(valid and true for valid, true in judged) >= 5


def test_waiting_for_nothing_is_an_error_and_not_a_hang(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="gave None while every request was answered"):
        list(engine.stream([None]))


def test_what_vllm_refuses_is_one_requests_error(
    engine: Engine, shown: list[tuple[measure.Held, Path]], tmp_path: Path
) -> None:
    held, path = shown[0]
    broken = tmp_path / "broken.png"
    broken.write_bytes(path.read_bytes()[:100])
    long = Request.make("m", (Message("user", "word " * 2000),), Sampling())
    requests = [long, looking(held, broken), looking(held, path)]
    replies = {r.key: r for r in engine.stream(requests)}
    assert [replies[r.key].finish for r in requests] == ["error", "error", "stop"]
    assert "512" in replies[long.key].error
    assert "decoded" in replies[requests[1].key].error


def test_a_stream_that_is_left_early_leaves_the_engine_usable(
    engine: Engine, shown: list[tuple[measure.Held, Path]]
) -> None:
    stream = engine.stream(looking(held, path, k, 1.0) for held, path in shown for k in range(4))
    next(stream)
    stream.close()
    held, path = shown[0]
    assert [r.finish for r in engine.stream([looking(held, path)])] == ["stop"]


def test_a_checkpoint_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(EngineError, match="vLLM cannot load the model /nowhere"):
        engines.create(SECTION.model_copy(update={"model": "/nowhere"}))


@pytest.mark.parametrize("effort", [None, "none", "low"])
@pytest.mark.parametrize(
    "told", [{}, {"enable_thinking": False}, {"enable_thinking": True, "reasoning_effort": "high"}]
)
def test_a_template_is_told_what_vllms_own_server_tells_it(effort: str | None, told: dict[str, Any]) -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    section = ModelSection(engine="vllm", model="m", reasoning_effort=effort, chat_template_kwargs=told)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "chat_template_kwargs": told}
    asked = ChatCompletionRequest.model_validate(body | ({"reasoning_effort": effort} if effort else {}))
    theirs = asked.build_chat_params(None, "auto").chat_template_kwargs
    assert section.template_arguments.items() <= theirs.items()
    assert theirs.keys() - section.template_arguments.keys() <= {"add_generation_prompt", "continue_final_message"}
