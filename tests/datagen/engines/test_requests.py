"""How models are asked beside the sampling: bodies and headers on the wire, templates in this process."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capcurriculum import recipe
from capcurriculum.cli import main
from capcurriculum.errors import EngineError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Message, Request, Response, Sampling
from curricula.build import build
from datagen import engines
from datagen.distributed.steps import Spec
from datagen.distributed.worker import Worker
from datagen.engines import vllm_engine
from datagen.engines.openai.headers import Redactor, resolve
from datagen.engines.transformers_engine import TransformersEngine
from tests.capcurriculum.recipe.test_models import O_SERIES, QWEN3
from tests.datagen.distributed.test_workers import assignment, employing
from tests.support import endpoint, worlds
from tests.support.endpoint import Endpoint

pytestmark = pytest.mark.usefixtures("hurried")

SECRET = 'open-sesame-\\\'tis "me"'
#: What models of the o-series do not take, by what their endpoint says about it.
_REFUSED = ("max_tokens", "temperature", "top_p", "top_k", "seed")


def section(url: str, **changes: Any) -> ModelSection:
    return ModelSection.model_validate(
        {"engine": "openai", "model": "m", "base_urls": [url], "concurrency": 1} | changes
    )


def question(number: int = 1, sampling: Sampling | None = None, rollout: int = 0) -> Request:
    return Request.make("m", (Message("user", f"What is {number} + 1?"),), sampling or Sampling(), rollout=rollout)


def ask(made: ModelSection, *requests: Request) -> list[Response]:
    with engines.create(made) as engine:
        return list(engine.stream(requests or (question(),)))


def refuse(handler: BaseHTTPRequestHandler, code: int, message: str) -> bool:
    data = json.dumps({"error": {"message": message}}).encode()
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
    return True


def o_series(handler: BaseHTTPRequestHandler) -> bool:
    """As OpenAI's reasoning models do."""
    body = handler.body  # type: ignore[attr-defined]
    wrong = [key for key in _REFUSED if key in body] + ["n"] * (body.get("n", 1) > 1)
    return bool(wrong) and refuse(
        handler, 400, f"Unsupported parameter: '{wrong[0]}' is not supported with this model."
    )


# Bodies


def bodies(made: Callable[[str], ModelSection], *requests: Request) -> list[dict[str, Any]]:
    with endpoint.serving() as server:
        assert {reply.finish for reply in ask(made(server.url), *requests)} == {"stop"}
    return server.requests


def test_a_body_without_further_keys_is_as_it_was() -> None:
    (body,) = bodies(section)
    assert set(body) == {"model", "messages", "temperature", "top_p", "max_tokens"}


def test_template_arguments_effort_and_further_keys_are_in_the_body() -> None:
    extra = {"min_p": 0.1, "guided": {"deep": [1, None, "ü"]}, "top_p": None, "absent": None}
    (body,) = bodies(lambda url: section(url, reasoning_effort="low", extra_body=extra, **QWEN3))
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["reasoning_effort"] == "low"
    assert (body["min_p"], body["guided"]) == (0.1, {"deep": [1, None, "ü"]})
    assert not {"top_p", "absent"} & body.keys()
    assert body["temperature"] == 0


def test_the_bound_on_a_reply_goes_under_the_name_that_the_model_takes() -> None:
    asked = question(sampling=Sampling(max_tokens=77))
    (own,) = bodies(lambda url: section(url, max_completion_tokens=True), asked)
    (number,) = bodies(lambda url: section(url, max_completion_tokens=8000), asked)
    assert (own["max_completion_tokens"], number["max_completion_tokens"]) == (77, 8000)
    assert "max_tokens" not in own.keys() | number.keys()


def test_a_null_key_takes_a_schema_out_and_leaves_what_the_engine_wrote() -> None:
    asked = Request.make("m", (Message("user", "1"),), Sampling(), schema='{"type": "object"}')
    (body,) = bodies(lambda url: section(url, extra_body={"response_format": None}), asked)
    assert "response_format" not in body
    assert body["messages"] == [{"role": "user", "content": "1"}]


def test_an_o_series_teacher_is_served_by_the_first_request() -> None:
    with endpoint.serving(Endpoint(always=o_series)) as server:
        (plain,) = ask(section(server.url))
        (reply,) = ask(section(server.url, **O_SERIES))
    assert (plain.finish, reply.finish) == ("error", "stop")
    assert "Unsupported parameter: 'max_tokens'" in plain.error
    assert len(server.requests) == 2


def test_rollouts_of_an_o_series_model_are_asked_singly_where_n_is_refused() -> None:
    warm = Sampling(temperature=0.7, top_p=0.9, top_k=20)
    told = O_SERIES | {"extra_body": O_SERIES["extra_body"] | {"top_k": None}}
    with endpoint.serving(Endpoint(always=o_series)) as server:
        replies = ask(section(server.url, **told), *(question(1, warm, k) for k in range(4)))
        singly = ask(section(server.url, max_n=1, **told), *(question(2, warm, k) for k in range(4)))
    assert {reply.finish for reply in [*replies, *singly]} == {"stop"}
    assert [body.get("n", 1) for body in server.requests] == [4, *[1] * 4, *[1] * 4]


def test_the_smallest_question_is_asked_in_the_same_way() -> None:
    fault = endpoint.status(500)
    with endpoint.serving(Endpoint(faults=[fault], always=o_series)) as server:
        assert ask(section(server.url, tries=2, **O_SERIES))[0].finish == "stop"
    greeting = server.requests[1]
    assert set(greeting) == {"model", "messages", "max_completion_tokens", "reasoning_effort"}
    assert greeting["max_completion_tokens"] == 1


# Headers


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEAM_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-endpoint")
    return SECRET


def test_headers_are_sent_with_their_values_and_override_the_key(team: str) -> None:
    told = {"X-Team": "TEAM_KEY", "x-both": "a ${TEAM_KEY} b ${TEAM_KEY}", "authorization": "Token ${TEAM_KEY}"}
    with endpoint.serving(Endpoint(faults=[endpoint.status(500)])) as server:
        ask(section(server.url, headers=told))
        ask(section(server.url, headers={"X-Team": "TEAM_KEY"}))
    assert len(server.requests) == 4  # the greeting too
    for sent in server.headers[:3]:
        assert (sent["x-team"], sent["x-both"]) == (team, f"a {team} b {team}")
        assert sent["authorization"] == f"Token {team}"
        assert sent["content-type"] == "application/json"
    assert server.headers[3]["authorization"] == "Bearer sk-of-the-endpoint"


def test_no_header_goes_along_to_another_host(team: str) -> None:
    with endpoint.serving() as other, endpoint.serving() as server:

        def elsewhere(handler: BaseHTTPRequestHandler) -> bool:
            handler.send_response(307)
            handler.send_header("Location", f"{other.url}/chat/completions")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        server.always = elsewhere
        with pytest.raises(EngineError, match="does not serve m") as caught:
            ask(section(server.url, headers={"X-Team": "TEAM_KEY"}))
        assert other.requests == []
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", " ", "two\nlines", "ends\n", "carriage\r", "t\tab", "ü", "\x7f"])
@pytest.mark.parametrize("told", ["TEAM_KEY", "Bearer ${TEAM_KEY}"])
def test_a_variable_without_a_value_that_can_be_sent_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, value: str | None, told: str
) -> None:
    monkeypatch.delenv("TEAM_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEAM_KEY", value)
    said = "holds a line break or another character" if (value or "").strip(" ") else "is not set"
    with pytest.raises(EngineError, match=f"the header X-Team of the model m names {said}") as caught:
        engines.create(section("http://127.0.0.1:1/v1", headers={"X-Team": told}))
    assert "\n" not in str(caught.value)
    # Written alone, it may be a value that was put in the wrong place.
    assert ("TEAM_KEY" in str(caught.value)) is ("$" in told)


@pytest.mark.parametrize("code", [400, 401])
def test_what_a_server_says_back_is_taken_out_of_errors(team: str, code: int) -> None:
    def telling(handler: BaseHTTPRequestHandler) -> bool:
        sent = handler.headers
        said = f'bad {sent["X-Team"]} and {sent["X-Other"]}, it\'s "{sent["Authorization"]}" to {{x}}'
        return refuse(handler, code, said)

    with endpoint.serving(Endpoint(always=telling)) as server:
        made = section(server.url, headers={"X-Team": "TEAM_KEY", "X-Other": "id=${TEAM_KEY};v=1"})
        try:
            text = ask(made)[0].error
        except EngineError as error:
            text = str(error)
    assert f"Error code: {code}" in text
    assert text.count("[key]") == 3
    assert not any(part in text for part in ("sesame", "tis", "sk-of"))


def test_secrets_are_found_in_every_spelling_and_the_longest_first() -> None:
    redactor = Redactor({SECRET, "sesame", "a\\b  c", " ", ""})
    for text in (SECRET, json.dumps(SECRET), repr(SECRET), str({"a": f"{SECRET} it's"}), repr(f"{SECRET} \"'")):
        assert "sesame" not in redactor.line(text)
        assert "tis" not in redactor.line(text)
    assert redactor.line("x a\\b \n c y") == "x [key] y"
    assert redactor.line("Basic dXNlcg== and\tmore") == "[key] and more"
    assert redactor.line("nothing here") == "nothing here"


def test_what_is_resolved_does_not_show_itself(team: str) -> None:
    made = resolve(section("http://127.0.0.1:1/v1", headers={"X-Team": "TEAM_KEY"}))
    assert repr(made) == "Headers(X-Team)"


# Runs


def guarded(folder: Path, url: str, headers: dict[str, str]) -> Recipe:
    """Every model and an auditor behind a gateway that wants headers."""
    model = {"engine": "openai", "base_urls": [url], "timeout_seconds": 20, "headers": headers}
    models = {name: model | {"model": name} for name in ("teacher", "one", "two", "policy", "judge")}
    models["teacher"] |= QWEN3
    filters = [{"name": "perception"}, {"name": "auditor", "models": "judge", "votes": 1}, {"name": "rollouts"}]
    return worlds.recipe_over(folder, url, models=models, filters=filters)


def complaining(handler: BaseHTTPRequestHandler) -> bool:
    """Refuse a teacher's first tries, saying back what came with the request."""
    body = handler.body  # type: ignore[attr-defined]
    first = body["model"] == "teacher" and "could not be used" not in str(body["messages"])
    return first and refuse(handler, 400, f"No: {handler.headers['X-Team']}, {handler.headers['Authorization']}")


def holding(folder: Path, text: str) -> list[Path]:
    """The files that hold a text; tables are read, since they are compressed."""

    def content(path: Path) -> bytes:
        return repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else path.read_bytes()

    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in content(path)]


def test_a_run_holds_no_value_and_goes_on_under_other_headers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    logged: list[str],
) -> None:
    monkeypatch.setenv("TEAM_KEY", "open-sesame")
    worlds.docci(tmp_path / "docci", 4)
    worlds.problems(tmp_path / "text", 4)
    with endpoint.serving(Endpoint(always=complaining)) as server:
        wanted = guarded(tmp_path, server.url, {"X-Team": "TEAM_KEY", "Authorization": "Bearer ${TEAM_KEY}"})
        run = build(wanted, Display())
        asked = len(server.requests)
        build(guarded(tmp_path, server.url, {"X-Other": "TEAM_KEY"}), Display())
        assert len(server.requests) == asked
    assert {sent["x-team"] for sent in server.headers} == {"open-sesame"}
    assert holding(run.path, "sesame") == []
    assert {path.parent.name for path in holding(run.path, "No: [key], [key]")} == {"attempts"}
    assert holding(run.path, "TEAM_KEY") == [run.path / "recipe.yaml"]
    assert any("Sending HTTP Request" in line for line in logged)
    assert "sesame" not in "".join([*capfd.readouterr(), *logged])


def test_a_variable_that_is_not_set_ends_a_build_before_anything_is_asked_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JUDGES_KEY", raising=False)
    worlds.docci(tmp_path / "docci", 2)
    worlds.problems(tmp_path / "text", 2)
    with endpoint.serving() as server:
        plain = guarded(tmp_path, server.url, {}).model_dump(mode="json")
        plain["models"]["judge"]["headers"] = {"X-Team": "${JUDGES_KEY}"}
        wanted = recipe.parse(plain, "test")
        written = tmp_path / "recipe.yaml"
        written.write_text(recipe.dump(wanted))
        assert main(["build", str(written)]) == 2
        assert main(["build", "--shard", "1/2", str(written)]) == 2
        assert server.requests == []
    told = capsys.readouterr().err
    assert told.count("The environment variable JUDGES_KEY that the header X-Team of the model judge names is not") == 2
    assert not wanted.run_dir.exists()


def test_a_worker_elsewhere_looks_into_its_own_environment_before_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.docci(tmp_path / "docci", 2)
    worlds.problems(tmp_path / "text", 2)
    with endpoint.serving() as server:
        wanted = guarded(tmp_path, server.url, {"X-Team": "${TEAM_KEY}"})
        with employing(wanted) as run:
            told = assignment(run, wanted, Spec("teacher", "teacher"))
            keys = [caption.caption_id for caption in run.captions.rows()]
            monkeypatch.delenv("TEAM_KEY", raising=False)
            one = Worker(told)
            reply = one({"keys": [keys]})
            assert (reply["done"], reply["kind"], server.requests) == ([0], ["EngineError"], [])
            assert "TEAM_KEY that the header X-Team of the model one" in reply["error"][0]
            one.close()
            monkeypatch.setenv("TEAM_KEY", "open-sesame")
            two = Worker(told)
            assert two({"keys": [keys]})["done"] == [len(keys)]
            two.close()
    assert {sent["x-team"] for sent in server.headers} == {"open-sesame"}
    assert "sesame" not in repr(told)


# Templates in this process

TEMPLATE = (
    "{% if effort_needed is defined and not reasoning_effort %}{{ raise_exception('say how hard') }}{% endif %}"
    "{{ messages[-1].content }}{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    "{{ reasoning_effort }}"
)


@pytest.mark.parametrize("whole", [True, False])
def test_the_template_of_a_processor_or_tokenizer_is_told(whole: bool) -> None:
    pytest.importorskip("torch")

    def rendered(**changes: Any) -> str:
        told = {"engine": "transformers", "model": "micro:start"} | changes
        with TransformersEngine(ModelSection.model_validate(told)) as engine:
            engine.processor = engine.processor if whole else engine.processor.tokenizer
            engine.processor.chat_template = TEMPLATE
            return engine._render(question())

    assert rendered() == "What is 1 + 1?"
    assert rendered(**QWEN3) == "What is 1 + 1?<think></think>"
    assert rendered(reasoning_effort="low", chat_template_kwargs={"unknown": [1]}) == "What is 1 + 1?low"
    assert rendered(reasoning_effort="none") == "What is 1 + 1?<think></think>none"


def test_a_template_that_refuses_a_conversation_costs_that_row() -> None:
    pytest.importorskip("torch")
    told = {"engine": "transformers", "model": "micro:start", "chat_template_kwargs": {"effort_needed": True}}
    with TransformersEngine(ModelSection.model_validate(told)) as engine:
        engine.processor.chat_template = TEMPLATE
        (response,) = engine.stream([question()])
    assert (response.finish, response.error.count("refuses it (say how hard); check chat_template_kwargs")) == (
        "error",
        1,
    )


def test_vllm_is_told_what_its_own_server_would_tell_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    class LLM:
        def enqueue_chat(self, turns: Any, parameters: Any, **further: Any) -> list[str]:
            told.append(further)
            return ["1-a"]

    monkeypatch.setattr(vllm_engine, "load", lambda section: LLM())
    monkeypatch.setattr(vllm_engine, "_parameters", lambda group, section: None)
    pytest.importorskip("vllm")
    for changes in ({}, QWEN3 | {"reasoning_effort": "low"}):
        made = ModelSection.model_validate({"engine": "vllm", "model": "m"} | changes)
        engine = vllm_engine.VLLMEngine(made)
        assert not engine._enqueue((question(),), {})
    assert [one["chat_template_kwargs"] for one in told] == [{}, {"enable_thinking": False, "reasoning_effort": "low"}]
