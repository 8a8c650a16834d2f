"""Whole builds whose models fail: from the first reply on, for a while, and for single rows."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.rows import Request, Response
from capcurriculum.run import Run
from datagen import engines
from datagen.engines.protocol import Traffic
from tests.support import endpoint, worlds

TEXT_ONLY = "\x1b[31mm-7b is not a multimodal model"
BLIND = endpoint.to_pictures(endpoint.status(400, message=TEXT_ONLY))


@pytest.fixture
def world(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci", 24)
    worlds.problems(tmp_path / "text", 24)
    return tmp_path


def build(folder: Path, url: str, **changes: Any) -> tuple[int, Run]:
    """The exit code of `capcurriculum build`, and the run."""
    wanted = worlds.recipe_over(folder, url, **changes)
    file = folder / "recipe.yaml"
    file.write_text(recipe.dump(wanted), encoding="utf-8")
    return cli.main(["build", str(file)]), Run(wanted.run_dir)


def error(captured: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a build that ended."""
    text = captured.readouterr().err
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    return line


def test_a_text_only_server_that_is_shown_pictures_ends_the_build_with_its_words(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint.serving() as server:
        server.always = BLIND
        code, run = build(world, server.url)
        assert code == 2
        said = error(capsys)
        answered = run.answers.frame()
        assert "failed" not in answered["outcome"].to_list()
        server.always = None
        assert build(world, server.url)[0] == 0
    for part in ("The model one (one)", "first 20 replies of the step probe", "400", "m-7b is not a multimodal model"):
        assert part in said
    assert "name a model that sees them" in said
    assert "\x1b" not in said
    assert "failed" not in run.answers.frame()["outcome"].to_list()


def test_a_build_that_is_begun_again_without_a_mend_ends_again(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint.serving() as server:
        server.always = BLIND
        codes = [build(world, server.url)[0] for _ in range(2)]
    assert codes == [2, 2]
    assert capsys.readouterr().err.count("is not a multimodal model") == 2


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (endpoint.thinking(), "the model spoke only in its reasoning channel"),
        (endpoint.thinking("length"), "the model spoke only in its reasoning channel"),
        (endpoint.saying('{"question": "Wh', "length"), "cut off before its end; raise max_tokens"),
        (endpoint.saying("I cannot do that."), "name another teacher"),
        (endpoint.status(400, message="max_tokens is too large"), "max_tokens is too large"),
    ],
)
def test_a_teacher_that_never_says_a_question_ends_the_build_with_the_cause(
    world: Path, capsys: pytest.CaptureFixture[str], fault: endpoint.Fault, cause: str
) -> None:
    with endpoint.serving() as server:
        server.always = fault
        code, run = build(world, server.url, text=None)
        assert code == 2
        said = error(capsys)
        assert "The model teacher (teacher)" in said
        assert cause in said
        assert run.verdicts.frame().filter(filter="teacher").is_empty()
        server.always = None
        assert build(world, server.url, text=None)[0] == 0
    kept = run.verdicts.frame().filter(filter="teacher")
    assert kept["keep"].to_list() == [True] * 24


class Local:
    """An engine in this process, in windows of `window`, whose processor takes no picture unless it `sees`."""

    def __init__(self, window: int, sees: bool) -> None:
        self.window, self.sees, self.traffic = window, sees, Traffic()

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        """Replies as the endpoint of these tests gives them."""
        for request in filter(None, requests):
            if request.image_paths and not self.sees:
                yield Response(request.key, "", "error", error=f"Invalid picture {request.key}")
            else:
                content = [{"type": "text", "text": turn.text} for turn in request.messages]
                shown = [{"type": "image_url"}] * len(request.image_paths)
                said = endpoint.Endpoint().reply({"messages": [{"content": [*shown, *content]}]})
                yield Response(request.key, said, "stop")


@pytest.mark.parametrize("window", [3, 64])
def test_a_local_model_whose_processor_takes_no_picture_ends_the_build(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    local = {name: {"engine": "transformers", "model": name} for name in ("teacher", "one", "two", "policy")}
    with monkeypatch.context() as patch:
        patch.setattr(engines, "create", lambda section: Local(window, sees=section.model == "teacher"))
        code, run = build(world, "", models=local)
    assert code == 2
    said = error(capsys)
    assert "The model one (one)" in said
    assert "Invalid picture" in said
    assert set(run.answers.frame()["arm"]) <= {"caption", "blind"}
    monkeypatch.setattr(engines, "create", lambda section: Local(window, sees=True))
    assert build(world, "", models=local)[0] == 0
    assert "failed" not in run.answers.frame()["outcome"].to_list()


def test_nineteen_failures_before_the_first_reply_of_use_end_nothing(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint.serving() as server:
        server.faults += [endpoint.status(400, message="busy with 1")] * 19
        models = {"policy": {"engine": "openai", "base_urls": [server.url], "model": "m", "concurrency": 1}}
        code, run = build(world, server.url, perception=None, models=models, rollouts={"model": "policy", "k": 1})
    assert code == 0
    outcomes = run.answers.frame()["outcome"].to_list()
    assert len(outcomes) == 24
    assert outcomes.count("failed") == 19
    text = capsys.readouterr().err
    assert ", 19 failed\n" in text
    assert "rollout, policy: 19 of 24 replies brought nothing (the first: Error code: 400" in text
    assert "capcurriculum query" in text


def test_a_step_of_few_replies_that_all_fail_is_finished_and_says_so(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worlds.problems(world / "few", 6)
    source = {"kind": "problems", "path": str(world / "few"), "source": "sums", "license": "mit"}
    with endpoint.serving() as server:
        server.always = endpoint.status(400)
        _, run = build(world, server.url, perception=None, text={"source": source})
    assert run.answers.frame()["outcome"].to_list() == ["failed"] * 18
    assert "18 of 18 replies brought nothing" in capsys.readouterr().err


def test_rollouts_of_one_bad_prompt_end_nothing(world: Path) -> None:
    bad: list[str] = []

    def first_prompt(handler: Any) -> bool:
        asked = str(handler.body["messages"])
        bad.append(asked)
        return asked == bad[0] and endpoint.status(400)(handler)

    with endpoint.serving() as server:
        server.always = first_prompt
        rollouts = {"model": "policy", "k": 40}
        code, run = build(world, server.url, perception=None, rollouts=rollouts)
    assert code == 0
    assert run.answers.frame()["outcome"].to_list().count("failed") == 40


def test_rollouts_that_are_all_cut_off_are_said_loudly(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint.serving() as server:
        server.always = endpoint.saying("<think> I add and add", "length")
        _, run = build(world, server.url, perception=None)
    assert set(run.answers.frame()["outcome"]) == {"unparsed"}
    text = capsys.readouterr().err
    assert "each of the first 20 replies was cut off at max_tokens" in text
    assert "72 of 72 replies were cut off at max_tokens and count as unknown" in text


def test_requests_that_were_sent_again_are_counted(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint.serving() as server:
        server.faults += [endpoint.status(429, "0")] * 3
        code, _ = build(world, server.url, perception=None)
    assert code == 0
    assert ", 3 retried\n" in capsys.readouterr().err
