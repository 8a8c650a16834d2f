"""VLMEvalKit itself, in its own environment, against endpoints on loopback that count what they are asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import prompts
from evaluation import judges, kits, suites
from evaluation.kits import Kit
from evaluation.results import results, samples
from tests.support import ROOT
from tests.support.endpoint import Endpoint, sending, serving, status
from tests.support.evaluating import evaluate, line, tsv

PYTHON = ROOT / kits.DEFAULT
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PYTHON.is_file(), reason="VLMEvalKit is not installed here; `make eval-venv` does it"),
]


class Model(Endpoint):
    """Answers as the endpoint does, and now and then in words that need a judge."""

    def reply(self, body: dict[str, Any]) -> str:
        said = super().reply(body)
        number = int(json.dumps(body["messages"][-1]["content"]).partition("is number ")[2].partition("?")[0])
        return "I would choose none of A, B, C, D." if number % 5 == 4 else said


class Judge(Endpoint):
    """Says `A` to everything that it is to match."""

    def reply(self, body: dict[str, Any]) -> str:
        return "A"


def asked(endpoint: Endpoint) -> Counter[str]:
    return Counter(json.dumps(body["messages"]) for body in endpoint.requests)


def test_the_kit_asks_grades_and_waits_for_its_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(10)])
    out = tmp_path / "out"
    with serving(Model()) as model, serving(Judge()) as judge:
        words = [f"Qwen3-VL-8B-Staged={model.url}", "--suite", str(file), "--out", str(out), "--engine", "vlmevalkit",
                 "--python", str(PYTHON)]  # fmt: skip
        assert evaluate(*words, "--judge", "exact") == 0
        [score] = results.scores_in(out)
        found = samples.samples(out)
        assert (score.unparsed, score.judge, score.engine, score.samples) == (2, "", "vlmevalkit", 10)
        assert score.right == sum(one.outcome == "right" for one in found) > 0
        assert score.score == pytest.approx(10 * score.right)
        assert {one.tokens for one in found} == {5}
        assert len(asked(model)) == 10
        assert set(asked(model).values()) == {1}
        assert model.requests[0]["messages"][0] == {"role": "system", "content": prompts.system()}
        judge.always = status(503)
        with_judge = [*words, "--judge", f"j@{judge.url}"]
        assert evaluate(*with_judge) == 2
        assert "judge unavailable" in capsys.readouterr().err
        assert results.scores_in(out) == []
        assert {one.outcome for one in samples.samples(out)} == {"failed"}
        assert all(one.prediction for one in samples.samples(out))
        judge.always = None
        # Dies after the greeting: the kit would go on by drawing letters.
        judge.faults = []
        assert evaluate(*with_judge) == 0
        [score] = results.scores_in(out)
        assert (score.judge, score.unparsed, score.failed) == ("j", 0, 0)
        assert set(asked(model).values()) == {1}
        before = len(judge.requests)
        assert evaluate(*with_judge) == 0
        assert len(judge.requests) == before
    assert "sk-" not in (out / "vlmevalkit" / score.setup / "vlmevalkit.log").read_text()


def test_a_judge_that_dies_midway_leaves_no_score(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(10)])

    def dies(handler: Any) -> bool:
        # Serves greetings, ours and the kit's; what it is to match finds it gone.
        return "hello" not in json.dumps(handler.body).lower() and status(500)(handler)

    with serving(Model()) as model, serving(Judge(always=dies)) as judge:
        words = [f"M={model.url}", "--suite", str(file), "--out", str(tmp_path / "out"), "--engine", "vlmevalkit",
                 "--python", str(PYTHON), "--judge", f"j@{judge.url}"]  # fmt: skip
        assert evaluate(*words) == 2
        [state] = results.states(tmp_path / "out")
        assert state.state == "judge unavailable"
        assert "injected 500" in state.detail
        assert results.scores_in(tmp_path / "out") == []
        judge.always = None
        assert evaluate(*words) == 0
        assert set(asked(model).values()) == {1}


def test_killed_and_run_again_nothing_is_asked_twice(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(40)])
    with serving(Model(delay_seconds=0.3)) as model:
        words = [f"M={model.url}", "--suite", str(file), "--out", str(tmp_path / "out"), "--engine", "vlmevalkit",
                 "--python", str(PYTHON), "--judge", "exact", "--concurrency", "2"]  # fmt: skip
        child = subprocess.Popen([sys.executable, "-m", "capcurriculum.cli", "evaluate", *words])
        while len(model.requests) < 10 and child.poll() is None:
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert evaluate(*words) == 0
        twice = [count for count in asked(model).values() if count > 1]
    assert len(asked(model)) == 40
    assert len(twice) <= 2  # those in flight when the kill came, whose replies nobody had
    assert [score.samples for score in results.scores_in(tmp_path / "out")] == [40]


def test_a_judge_of_bedrock_answers_through_the_kits_own_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10}
    message = {"role": "assistant", "content": [{"text": "B"}]}
    reply = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
    with serving(Endpoint(always=sending(json.dumps(reply).encode()))) as bedrock:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url.removesuffix("/v1"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        named = judges.NamedJudge("claude", suites.Judge(bedrock="anthropic.claude"))
        kit = Kit("VLMEvalKit", str(PYTHON), "")
        with judges.sitting(named, kit, tmp_path) as relay:
            body = {"model": "judge", "messages": [{"role": "user", "content": "Which?"}], "max_tokens": 7}
            status_code, data = relay.chat(body)
        assert (status_code, json.loads(data)["choices"][0]["message"]["content"]) == (200, "B")
        assert bedrock.requests[-1]["messages"] == [{"role": "user", "content": [{"text": "Which?"}]}]
        assert bedrock.requests[-1]["inferenceConfig"] == {"maxTokens": 7, "temperature": 0}
