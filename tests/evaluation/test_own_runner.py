"""Asking benchmark files by the own runner, against an endpoint on loopback that counts what it is asked."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from capcurriculum import prompts, recipe
from capcurriculum.journal import Journal, take_over
from evaluation.benchmarks import scenes
from evaluation.benchmarks.images import ImageStore
from evaluation.benchmarks.tsv import read
from evaluation.results import results, samples
from evaluation.results.samples import Sample
from evaluation.serving import open
from tests.support import card_runs
from tests.support.endpoint import Endpoint, saying, serving, status, to_pictures, well
from tests.support.evaluating import evaluate, line, tsv


def asked(endpoint: Endpoint) -> Counter[str]:
    """How often each question was asked; greetings do not count."""
    texts = [json.dumps(body["messages"][-1]["content"]) for body in endpoint.requests if body["max_tokens"] > 1]
    return Counter(texts)


def test_a_benchmark_is_asked_once_and_graded_as_training_grades(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [line(number) for number in range(12)]
    rows.append(line(12, image="bm90IGFuIGltYWdl" * 8))
    rows.append(line(13, image="3"))  # the picture of the row 3
    rows.append({"index": "sum", "question": "What is 2 + 3?", "answer": "5"})
    file = tsv(tmp_path / "Small.tsv", rows)
    out = tmp_path / "out"
    with serving(Endpoint(image_right=0.6)) as endpoint:
        words = [f"Qwen3-VL-8B-Staged={endpoint.url}", "--suite", str(file), "--out", str(out)]
        assert evaluate(*words) == 2  # 1 of 15 samples failed, more than a few
        assert "incomplete" in capsys.readouterr().err
        assert results.scores_in(out) == []
        assert len(asked(endpoint)) == 14
        body = endpoint.requests[-1]
        assert body["messages"][0] == {"role": "system", "content": prompts.system()}
        assert (body["temperature"], body["max_tokens"]) == (0.0, 2048)
        before = len(endpoint.requests)
        assert evaluate(*words) == 2
        assert len(endpoint.requests) == before
        rows[12] = line(12)
        tsv(file, rows)
        assert evaluate(*words) == 0
        assert max(asked(endpoint).values()) == 2  # it is another benchmark now
    [score] = results.scores_in(out)
    found = samples.samples(out, pl.col("benchmark_digest") == score.benchmark_digest)
    right = [one for one in found if one.outcome == "right"]
    assert (score.samples, score.right, score.failed) == (15, len(right), 0)
    assert score.score == pytest.approx(100 * len(right) / 15)
    assert score.low is not None
    assert score.low < score.score
    assert score.tokens == 5
    assert {one.sample: one for one in found}["sum"].options == ()
    assert {one.images for one in found if one.sample in ("3", "13")} == {
        found[[o.sample for o in found].index("3")].images
    }
    assert all((out / name).is_file() for one in found for name in one.images)
    assert [state.state for state in results.states(out)] == ["done"]


def test_a_base_model_gets_no_system_prompt_when_it_is_told_so(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(1)])
    with serving() as endpoint:
        words = [f"Base={endpoint.url}", "--suite", str(file), "--out", str(tmp_path / "out")]
        assert evaluate(*words, "--no-system") == 0
        assert [turn["role"] for turn in endpoint.requests[-1]["messages"]] == ["user"]
        assert evaluate(*words) == 0  # asked otherwise, so asked again
        assert [turn["role"] for turn in endpoint.requests[-1]["messages"]] == ["system", "user"]
    assert len(samples.samples(tmp_path / "out")) == 2
    assert len(results.scores_in(tmp_path / "out")) == 1


def test_a_reply_cut_off_or_without_an_answer_is_not_wrong(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(4)])
    faults = [saying("\\boxed{A", "length"), saying("I cannot tell."), saying("\\boxed{A}"), saying("\\boxed{D}")]
    with serving(Endpoint(faults=faults)) as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(tmp_path), "--concurrency", "1"]
        assert evaluate(*words) == 0
    [score] = results.scores_in(tmp_path)
    assert (score.right, score.wrong, score.unparsed, score.failed, score.samples) == (1, 1, 2, 0, 4)
    assert Counter(one.detail for one in samples.samples(tmp_path))["cut off at max_tokens"] == 1


def test_a_model_that_sees_no_picture_is_not_asked_to_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(60)])
    blind = to_pictures(status(400, message="m is not a multimodal model"))
    with serving(Endpoint(always=blind)) as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(tmp_path), "--concurrency", "4"]
        assert evaluate(*words) == 2
        said = capsys.readouterr().err
        assert "The model M brought nothing in its first 20 replies of the step evaluate Small" in said
        assert "m is not a multimodal model" in said
        assert len(asked(endpoint)) < 30
        [state] = results.states(tmp_path)
        assert (state.state, state.answered, state.samples) == ("incomplete", 0, 60)
        endpoint.always = None
        assert evaluate(*words) == 0
    assert [state.state for state in results.states(tmp_path)] == ["done"]


def test_samples_that_fail_again_while_all_others_were_answered_do_not_stop_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(60)])
    with serving() as endpoint:
        endpoint.always = lambda handler: bool(re.search(r"number [345]\d", str(handler.body))) and status(400)(handler)
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(tmp_path), "--concurrency", "1"]
        for _ in range(2):
            assert evaluate(*words) == 2
            assert "0 of 60 samples were not asked and 30 failed" in capsys.readouterr().err
        assert sum(asked(endpoint).values()) == 90


def test_an_endpoint_that_dies_midway_is_said_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(open, "PATIENCE_SECONDS", 0.3)
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(10)])
    with serving(Endpoint(faults=[well] * 4, always=status(500))) as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(tmp_path), "--concurrency", "2"]
        assert evaluate(*words) == 2
        said = capsys.readouterr().err
        assert "1 of 1 benchmarks have no score yet" in said
        assert "injected 500" in said
        [state] = results.states(tmp_path)
        assert (state.state, state.answered, state.samples) == ("incomplete", 4, 10)
        endpoint.always = None
        answered = {one.question for one in samples.samples(tmp_path)}
        before = len(endpoint.requests)
        assert evaluate(*words) == 0
        again = [json.dumps(body["messages"][-1]) for body in endpoint.requests[before:]]
        assert not [text for text in again for question in answered if question in text]
    assert [score.samples for score in results.scores_in(tmp_path)] == [10]


def test_what_a_killed_process_had_written_down_is_kept(tmp_path: Path) -> None:
    row = Sample("m", "s", "b", "1", "setup", "digest", ("images/a.png",), "q", ("x", "y"), "A", "said", "A", "right")
    journal = Journal(samples.table(tmp_path))
    journal.note([row])
    assert journal.path
    with journal.path.open("a") as handle:
        handle.write('{"model": "torn')
    assert samples.samples(tmp_path) == []
    take_over(samples.table(tmp_path))
    assert samples.samples(tmp_path) == [row]
    take_over(samples.table(tmp_path))
    assert samples.table(tmp_path).count() == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"index": "1", "question": "q"}], "no column answer"),
        ([line(1), line(1)], "called '1'"),
        ([], "holds no samples"),
        ([line(1, answer="E")], "is no option's letter"),
        ([line(1, image="nothing")], "is that of the row 'nothing'"),
        ([line(1, image="", image_path="../../secret.png")], "leads out"),
    ],
)
def test_a_benchmark_that_cannot_be_asked_is_one_sentence(
    tmp_path: Path, rows: list[dict[str, str]], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tsv(tmp_path / "in" / "Bad.tsv", rows)
    if said == "no column answer":
        file.write_text("index\tquestion\n1\tq\n")
    assert evaluate("M=http://127.0.0.1:9/v1", "--suite", str(file), "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_option_that_says_none_stays_an_option(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(1, A="None", B="NA", hint="Look twice.")])
    [item] = read(file, ImageStore(tmp_path)).items
    assert item.options[:2] == ("None", "NA")
    assert item.problem.startswith("Hint: Look twice.\nWhat is number 1?")


def test_a_dry_run_says_what_is_left_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(3)])
    out = tmp_path / "out"
    with serving() as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(out)]
        assert evaluate(*words, "--dry-run") == 0
        assert "3 samples" in capsys.readouterr().out
        assert not out.exists()
        assert evaluate(*words, "--limit", "2") == 0
        assert "Small (first 2)" in capsys.readouterr().out
        assert evaluate(*words) == 0
        capsys.readouterr()
        assert evaluate(*words, "--dry-run") == 0
        assert "0 to ask" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing", "--suite", "main"], "There is no model 'nothing'"),
        (["M=http://127.0.0.1:9/v1", "--suite", "nothing"], "There is no suite 'nothing'"),
        (["M=http://127.0.0.1:9/v1", "--suite", "main", "--engine", "own"], "the own runner asks files"),
        (["M=http://user:key@h/v1", "--suite", "main"], "must hold no user name"),
        (["micro:start", "micro:start", "--suite", "main"], "Two of the models"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*words, "--out", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow  # for the import of torch
@pytest.mark.timeout(120)
def test_scenes_as_a_benchmark_are_the_held_out_ones(tmp_path: Path) -> None:
    from datagen.micro import evaluate as measure

    scenes.write(tmp_path / "Scenes.tsv", 6, seed=3)
    items = read(tmp_path / "Scenes.tsv", ImageStore(tmp_path)).items
    held = measure.held_out(6, seed=3)
    assert [item.problem for item in items] == [one.problem for one in held]
    assert [item.gold for item in items] == [one.letter for one in held]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_and_run_again_nothing_that_was_answered_is_asked_twice(tmp_path: Path) -> None:
    file = tsv(tmp_path / "Small.tsv", [line(number) for number in range(40)])
    with serving(Endpoint(delay_seconds=0.1)) as endpoint:
        words = [f"M={endpoint.url}", "--suite", str(file), "--out", str(tmp_path / "out"), "--concurrency", "2"]
        child = subprocess.Popen([sys.executable, "-m", "capcurriculum.cli", "evaluate", *words])
        while len(endpoint.requests) < 15 and child.poll() is None:
            time.sleep(0.02)
        child.kill()
        child.wait()
        flying = endpoint.flying
        assert evaluate(*words) == 0
        counted = asked(endpoint)
    assert len(counted) == 40
    assert sum(count > 1 for count in counted.values()) <= max(flying, 2)  # those whose replies nobody had yet
    assert [score.samples for score in results.scores_in(tmp_path / "out")] == [40]


def test_a_run_is_asked_its_test_rows_as_they_were_written(tmp_path: Path) -> None:
    run = tmp_path / "planted"
    rows = [card_runs.row(number) for number in range(3)]
    card_runs.write(run / "stages" / "perception" / "test-00000-of-00001.parquet", rows)
    (run / "recipe.yaml").write_text(recipe.dump(card_runs.plain()))
    with serving(Endpoint(always=saying("\\boxed{A}"))) as endpoint:
        assert evaluate(f"M={endpoint.url}", "--suite", str(run), "--out", str(tmp_path / "out")) == 0
        [text] = {body["messages"][1]["content"][1]["text"] for body in endpoint.requests if "patch 1" in str(body)}
    assert text == "What is patch 1?"
    [score] = results.scores_in(tmp_path / "out")
    assert (score.suite, score.benchmark, score.right, score.samples) == ("planted", "perception_test", 1, 3)
