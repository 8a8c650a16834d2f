"""What stands between a kit and a model: the relay, the judge, the kit's configuration, and its files read back."""

import csv
import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import prompts
from capcurriculum.errors import EvaluationError
from capcurriculum.render.progress import Display
from capcurriculum.rows import Outcome
from evaluation import judges, kits, suites
from evaluation.benchmarks.images import ImageStore
from evaluation.benchmarks.tsv import read as read_tsv
from evaluation.job import Job
from evaluation.kits import Kit
from evaluation.serving.models import Target
from evaluation.serving.relay import Relay, Upstream, lengths, recorded, relaying
from evaluation.suites import Judge
from evaluation.vlmevalkit import read, run, tables
from evaluation.vlmevalkit.layouts import LAYOUTS, layout, metric
from evaluation.vlmevalkit.session import Dataset, Session
from tests.support.endpoint import Endpoint, saying, serving, status
from tests.support.evaluating import evaluate, line, tsv

pytestmark = pytest.mark.usefixtures("hurried")

KIT = Kit("VLMEvalKit", sys.executable, "0.0.20")


def post(relay: Relay, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {relay.token}"}
    request = urllib.request.Request(f"{relay.url}/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(text: str, **changes: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 9, "temperature": 0} | changes


def test_the_relay_asks_once_remembers_and_keeps_the_key(tmp_path: Path) -> None:
    journal = tmp_path / "replies.jsonl"
    with serving() as endpoint:
        upstream = Upstream(endpoint.url, "sk-secret", system="Be kind.", model="real")
        with relaying(upstream, journal) as relay:
            status_code, first = post(relay, chat("What is 1 + 2?"))
            assert status_code == 200
            assert post(relay, chat("What is 1 + 2?"))[1]["choices"] == first["choices"]
            assert post(relay, chat("What is 2 + 2?"))[0] == 200
        assert [body["model"] for body in endpoint.requests] == ["real", "real"]
        assert endpoint.requests[0]["messages"][0] == {"role": "system", "content": "Be kind."}
        with journal.open("a") as handle:
            handle.write('{"torn')
        with relaying(upstream, journal) as again:
            assert post(again, chat("What is 1 + 2?"))[1]["choices"] == first["choices"]
            assert lengths(journal)[first["choices"][0]["message"]["content"]] == (5, "stop")
        assert len(endpoint.requests) == 2
    assert "sk-secret" not in journal.read_text()
    assert len(recorded(journal)) == 2


def test_the_relay_counts_what_got_no_reply_and_forgets_it(tmp_path: Path) -> None:
    faults = [status(400), status(500), status(500)]
    with serving(Endpoint(faults=faults)) as endpoint, relaying(Upstream(endpoint.url), tmp_path / "r.jsonl") as relay:
        assert post(relay, chat("What is 1 + 2?"))[0] == 400
        assert (relay.failures, relay.why) == (1, 'status 400: {"error": {"message": "injected 400"}}')
        assert post(relay, chat("What is 1 + 2?"))[0] == 200  # broken twice, asked a third time
        assert relay.failures == 1
    with relaying(Upstream("http://127.0.0.1:9/v1"), tmp_path / "r.jsonl") as relay:
        assert post(relay, chat("What is 9 + 2?"))[0] == 502
        assert "refused" in relay.why


def test_the_relays_journal_is_its_owners_alone(tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    old.touch(0o644)
    for journal in (tmp_path / "new.jsonl", old):
        with serving() as endpoint, relaying(Upstream(endpoint.url), journal) as relay:
            assert post(relay, chat("What is 1 + 2?"))[0] == 200
        assert journal.stat().st_mode & 0o777 == 0o600


def test_the_key_follows_no_redirection(tmp_path: Path) -> None:
    def moved(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(302)
        handler.send_header("Location", f"{other.url}/chat/completions")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    with serving() as other, serving(Endpoint(always=moved)) as endpoint:
        with relaying(Upstream(endpoint.url, "sk-secret"), tmp_path / "r.jsonl") as relay:
            with pytest.raises(ValueError, match="Expecting value"):  # its body is empty
                post(relay, chat("What is 1 + 2?"))
            assert relay.why.startswith("status 302")
        assert other.requests == []


def test_a_kit_gets_the_token_by_its_environment(tmp_path: Path) -> None:
    variables = kits.environment(kits.keys("sk-token"))
    assert (variables["OPENAI_API_KEY"], variables["LMDEPLOY_API_KEY"]) == ("sk-token", "sk-token")
    assert kits.environment({})["OPENAI_API_KEY"] == "EMPTY"


BEDROCK = """
class BedrockAPI:
    fail_msg = "failed"
    def __init__(self, model, retry): pass
    def generate_inner(self, inputs, temperature, max_tokens): return 0, "B", {}
"""


def test_the_server_of_a_bedrock_judge_answers_the_relay_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vlmeval").mkdir()
    (tmp_path / "vlmeval" / "__init__.py").touch()
    (tmp_path / "vlmeval" / "api.py").write_text(BEDROCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with kits.bedrock(KIT, "claude", tmp_path, "sk-token") as url:
        with relaying(Upstream(url, "sk-token"), tmp_path / "r.jsonl") as relay:
            assert post(relay, chat("Which?"))[1]["choices"][0]["message"]["content"] == "B"
        with relaying(Upstream(url, "sk-other"), tmp_path / "q.jsonl") as relay:
            assert post(relay, chat("Which?"))[0] == 401


def test_judges_have_names() -> None:
    main = suites.load("main")
    found = judges.resolve("", main)
    assert found is not None
    assert (found.name, found.judge.bedrock) == (main.judge, "global.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert judges.resolve("exact", main) is None
    named = judges.resolve("my-model@http://127.0.0.1:1/v1", main)
    assert named == judges.NamedJudge("my-model", Judge(model="my-model", base_url="http://127.0.0.1:1/v1"))
    bedrock = judges.resolve("bedrock:anthropic.claude", main)
    assert bedrock is not None
    assert bedrock.judge.bedrock == "anthropic.claude"
    for wrong in ("nobody", "m@ftp://x", "m@http://user:key@host/v1"):
        with pytest.raises(EvaluationError):
            judges.resolve(wrong, main)


def test_a_judge_that_is_not_there_is_said_and_never_taken_from_the_record(tmp_path: Path) -> None:
    with serving(Endpoint(faults=[saying("Hello")], always=status(503))) as endpoint:
        named = judges.NamedJudge("j", Judge(model="j", base_url=endpoint.url))
        with judges.sitting(named, KIT, tmp_path) as relay:
            assert relay.failures == 0
        with pytest.raises(EvaluationError, match=r"the judge j does not answer .*injected 503"), \
                judges.sitting(named, KIT, tmp_path):  # fmt: skip
            pass


def session(folder: Path, target: Target) -> Session:
    return Session(KIT, target, 64, "setup", folder / "kit", 4)


def test_the_configuration_has_the_alias_and_the_prompt_as_a_system_turn(tmp_path: Path) -> None:
    found = layout("ImageMCQDataset", "MMStar")
    assert found is not None
    dataset = Dataset(suites.load("main").benchmarks[6], "MMStar", "ImageMCQDataset", found)
    trained = session(tmp_path, Target("Qwen3-VL-8B-Staged", "x", "qwen3_vl_8b"))
    told = trained.configuration([dataset], "http://127.0.0.1:5/v1", "served")
    [(alias, model)] = told["model"].items()
    assert alias == "Qwen3_VL_8B_Staged"
    assert (model["system_prompt"], model["temperature"], model["max_tokens"]) == (prompts.system(), 0, 64)
    assert model["api_base"] == "http://127.0.0.1:5/v1/chat/completions"
    assert told["data"] == {"MMStar": {"class": "ImageMCQDataset", "dataset": "MMStar"}}
    base = session(tmp_path, Target("Base", "x", "qwen3_vl_8b", system=False))
    assert "system_prompt" not in base.configuration([dataset], "http://x/v1", "served")["model"]["Base"]


def test_every_benchmark_of_the_suites_can_be_read_back() -> None:
    for name in suites.BUILT_IN:
        for entry in suites.load(name).benchmarks:
            assert layout(entry.kit_class, entry.name), entry.name


@pytest.mark.parametrize(
    ("kit_class", "row", "expected"),
    [
        ("ImageMCQDataset", {"hit": "1", "log": "Match Log: A. "}, Outcome.RIGHT),
        ("ImageMCQDataset", {"hit": "0", "log": "Match Log: B. "}, Outcome.WRONG),
        ("ImageMCQDataset", {"hit": "0", "log": "Match Log: Failed in Prefetch, no GPT-based ..."}, Outcome.UNPARSED),
        ("ImageMCQDataset", {"hit": "1", "log": "Match Log: Failed to predict, thus randomly generate one. "},
         Outcome.UNPARSED),
        ("ImageYORNDataset", {"extracted": "Yes", "score": "True"}, Outcome.RIGHT),
        ("ImageYORNDataset", {"extracted": "Unknown", "score": "False"}, Outcome.UNPARSED),
        ("MathVista", {"hit": "True", "res": "7", "log": "Succeed"}, Outcome.RIGHT),
        ("MathVista", {"hit": "False", "res": "", "log": "Try 0: ...\nAll 5 retries failed.\n"}, Outcome.FAILED),
        ("MathVerse", {"score": "False", "extract": "", "log_extract": "Succeed",
                       "log_score": "All 5 retries failed.\n"}, Outcome.FAILED),
        ("MathVerse", {"score": "True", "extract": "7", "log_extract": "Succeed", "log_score": "Succeed"},
         Outcome.RIGHT),
        ("Dynamath", {"parse": "False", "extracted": "", "correct": "False"}, Outcome.UNPARSED),
        ("Dynamath", {"parse": "True", "extracted": "A", "correct": "True"}, Outcome.RIGHT),
        ("ImageVQADataset", {"eval_score": "0.6"}, Outcome.RIGHT),
        ("ImageVQADataset", {"eval_score": "0.0"}, Outcome.WRONG),
    ],
)  # fmt: skip
def test_what_the_kit_found_is_told_in_our_words(kit_class: str, row: dict[str, str], expected: Outcome) -> None:
    assert LAYOUTS[kit_class].found(row)[0] is expected


def test_the_headline_number_is_the_one_meant_or_none() -> None:
    assert metric(LAYOUTS["ImageMCQDataset"], {"split=val|Overall": 0.5, "split=val|math": 0.1}) == 50
    assert metric(LAYOUTS["ImageMCQDataset"], {"split=a|Overall": 0.5, "split=b|Overall": 0.1}) is None
    assert metric(LAYOUTS["MathVista"], {"Task&Skill=Overall|acc": 75.9}) == 75.9
    pope = layout("ImageYORNDataset", "POPE")
    hallusion = layout("ImageYORNDataset", "HallusionBench")
    assert pope is not None
    assert hallusion is not None
    assert (pope.name, metric(pope, {"split=Overall|Overall": 88.0, "split=Overall|acc": 80.0})) == ("F1", 88)
    assert metric(hallusion, {"split=Overall|aAcc": 60.0, "split=Overall|qAcc": 30.0}) == 60


def test_files_of_the_kit_are_read_back_row_by_row(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(0), line(1, image="broken" * 20), line(2, A="None"), line(3)])
    job = Job(tmp_path / "out", suites.load(str(file)), Display())
    pictures = ImageStore(job.folder)
    dataset = run._dataset(job.suite.benchmarks[0], job, pictures)
    own = session(tmp_path, Target("M", "x"))
    assert dataset.benchmark is not None
    tables.write(own.table(dataset), dataset.benchmark, job.folder)
    given = read_tsv(own.table(dataset), ImageStore(tmp_path / "again"))
    assert [item.sample for item in given.items] == ["0", "1", "2"]
    assert given.items[1].options[0] == "None "  # pandas would take it for a missing value
    assert [Path(name).stem for item in given.items for name in item.images] == [
        Path(name).stem for item in dataset.benchmark.items for name in item.images
    ]
    replies = ["<think> a\nb </think> \\boxed{A}", "Failed to obtain answer via API.", "None"]
    write(own.file(dataset), [{"index": str(n), "prediction": text} for n, text in enumerate(replies)])
    assert not read.complete(own, dataset)
    known = [(replies[0], 7, "stop"), ("None", 1, "length")]
    journal = [{"request": text, "text": text, "tokens": tokens, "finish": end} for text, tokens, end in known]
    own.journal.write_text("\n".join(map(json.dumps, journal)))
    begun = job.begun(own.target, dataset.entry, "vlmevalkit", own.setup, dataset.benchmark.digest, 4)
    rows = read.sample_rows(job, own, begun, dataset, {}, "j", "judge unavailable: gone")
    assert [(row.sample, row.outcome, row.tokens) for row in rows] == [
        ("0", "failed", 7), ("2", "failed", None), ("3", "failed", 1)]  # fmt: skip
    assert (rows[0].prediction, rows[1].prediction) == (replies[0], "")
    judged = own.file(dataset, "_judge_result")
    write(judged, [{"index": str(n), "hit": "1", "log": "Match Log"} for n in range(3)])
    found = read.judged(own, dataset, "judge")
    rows = read.sample_rows(job, own, begun, dataset, found, "j", "")
    assert [row.outcome for row in rows] == ["right", "failed", "right"]
    assert rows[2].detail == "cut off at max_tokens"
    assert rows[0].images == dataset.benchmark.items[0].images


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)


def test_a_kit_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(0)])
    words = ["M=http://127.0.0.1:9/v1", "--suite", str(file), "--out", str(tmp_path / "out"), "--engine", "vlmevalkit"]
    for python, said in (
        ("/nowhere/python", "There is no Python at /nowhere/python"),
        (sys.executable, "has no ms-vl"),
    ):
        assert evaluate(*words, "--python", python) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "make eval-venv" in error
        assert error.count("\n") == 1


def test_a_kits_process_has_no_key_and_ends_with_the_server_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = "import os; print('key', os.environ['OPENAI_API_KEY'], flush=True); import time; time.sleep(600)"
    log = tmp_path / "log"
    asked: list[str] = []

    def ended() -> str:
        asked.append("")
        return "the server ended" if log.read_text() else ""

    assert kits.run(KIT, ["-c", script], {}, tmp_path / "kit", log, ended) == "the server ended"
    assert log.read_text() == "key EMPTY\n"
    why = kits.run(KIT, ["-c", "raise ValueError('broken')"], {}, tmp_path / "kit", log, lambda: "")
    assert "ended with code 1: ValueError: broken" in why
