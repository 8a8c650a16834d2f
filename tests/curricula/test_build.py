"""The road from sources to stage files, over a real HTTP endpoint and real files."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from capcurriculum import prompts, recipe
from capcurriculum.errors import EngineError, RecipeError, SourceError
from capcurriculum.ledger import funnel
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS
from capcurriculum.run import Run
from curricula.build import build
from tests.support import endpoint, worlds

TABLES = ("captions", "attempts", "questions", "answers", "verdicts")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci")
    worlds.problems(tmp_path / "text")
    return tmp_path


def content(run: Run) -> dict[str, list[str]]:
    """Every table as sorted rows, and every stage file's rows in order.

    Without the tokens of prompts: the first of the rollouts that are asked for together bears them, and after a kill
    amid a reply's choices those that are missing are another request.
    """
    frames = {name: getattr(run, name).frame() for name in TABLES}
    tables = {
        name: sorted(json.dumps(row) for row in frame.drop("tokens_in", strict=False).to_dicts())
        for name, frame in frames.items()
    }
    for path in sorted(run.stages.glob("*/*.parquet")):
        tables[f"{path.parent.name}/{path.name}"] = [repr(row) for row in pq.read_table(path).to_pylist()]
    return tables


def test_build_leaves_ordered_stages_that_datasets_opens_with_images(small: Path) -> None:
    import datasets

    with endpoint.serving() as server:
        run = build(worlds.recipe_over(small, server.url), Display())
    loaded = datasets.load_dataset(str(run.stages / "perception"), cache_dir=str(small / "cache"))
    rows = [row for split in loaded.values() for row in split]
    assert rows
    assert all(row["images"][0].size[1] == 48 for row in rows)
    text = datasets.load_dataset(str(run.stages / "text"), cache_dir=str(small / "cache"))
    assert text["train"].features == loaded["train"].features
    rates = text["train"]["pass_rate"]
    assert list(rates) == sorted(rates, reverse=True)
    assert {0.0, 1.0} & set(rates)


def test_stage_rows_carry_the_system_prompt_that_rollouts_were_asked_with(small: Path) -> None:
    with endpoint.serving() as server:
        run = build(worlds.recipe_over(small, server.url), Display())
        asked = {m["content"] for body in server.requests for m in body["messages"] if m["role"] == "system"}
    rows = [row for path in run.stages.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()]
    written = {turn["content"] for row in rows for turn in row["prompt"] if turn["role"] == "system"}
    assert {text.encode() for text in written} == {text.encode() for text in asked} == {prompts.system().encode()}


def test_kept_perception_rows_are_wrong_from_every_image_and_right_from_every_caption(small: Path) -> None:
    with endpoint.serving() as server:
        run = build(worlds.recipe_over(small, server.url), Display())
    kept = {v.question_id for v in run.verdicts.rows() if v.filter == "perception" and v.keep}
    dropped = {v.question_id for v in run.verdicts.rows() if v.filter == "perception" and not v.keep}
    assert kept
    assert dropped
    probes = [a for a in run.answers.rows() if a.purpose == "probe"]
    for question in kept:
        judged = [a for a in probes if a.question_id == question and a.arm in ("image", "caption")]
        seen = {(a.solver, a.arm): a.outcome for a in judged}
        assert seen == {
            ("one", "image"): "wrong", ("two", "image"): "wrong",
            ("one", "caption"): "right", ("two", "caption"): "right",
        }  # fmt: skip


def test_building_a_finished_run_again_asks_nothing_and_changes_no_byte(small: Path) -> None:
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(small, server.url)
        run = build(wanted, Display())
        before = {path: path.read_bytes() for path in run.path.rglob("*.parquet")}
        asked = len(server.requests)
        build(wanted, Display())
        assert len(server.requests) == asked
    assert {path: path.read_bytes() for path in run.path.rglob("*.parquet")} == before


def test_same_recipe_twice_gives_byte_identical_stage_files(small: Path) -> None:
    with endpoint.serving() as server:
        first = build(worlds.recipe_over(small, server.url, name="first"), Display())
        second = build(worlds.recipe_over(small, server.url, name="second"), Display())
    files = sorted(path.relative_to(first.stages) for path in first.stages.glob("*/*.parquet"))
    assert files
    assert all((first.stages / name).read_bytes() == (second.stages / name).read_bytes() for name in files)
    assert content(first)["questions"] == content(second)["questions"]


def test_errors_of_an_endpoint_cost_no_row(small: Path) -> None:
    with endpoint.serving() as server:
        clean = build(worlds.recipe_over(small, server.url, name="clean"), Display())
        server.faults += [endpoint.status(429, "0"), endpoint.status(500), endpoint.hang_up, endpoint.status(503, "0")]
        faulty = build(worlds.recipe_over(small, server.url, name="faulty"), Display())
    assert content(faulty) == content(clean)


def test_a_refused_reply_is_asked_again_with_the_reason_and_given_up_after_its_tries(small: Path) -> None:
    with endpoint.serving() as server:
        server.always = careless
        run = build(worlds.recipe_over(small, server.url, models=serial_models(server.url)), Display())
        second = [str(body) for body in server.requests if "could not be used" in str(body)]
    assert len(second) == 12
    assert {q.attempt for q in run.questions.rows() if q.stage == "perception"} == {2}

    with endpoint.serving() as server:
        server.always = stubborn
        run = build(worlds.recipe_over(small, server.url, name="stubborn"), Display())
    given_up = [v for v in run.verdicts.rows() if v.filter == "teacher" and not v.keep]
    assert [v.reason for v in given_up] == ["no_valid_question"] * 3
    assert all("JSON" in v.detail and len(v.evidence) == 3 for v in given_up)


def careless(handler: BaseHTTPRequestHandler) -> bool:
    """Write no whole question at the first try."""
    prompt = str(handler.body)  # type: ignore[attr-defined]
    first = "Reply with one JSON object" in prompt and "could not be used" not in prompt
    return first and endpoint.saying('{"question": "Who?"}')(handler)


def stubborn(handler: BaseHTTPRequestHandler) -> bool:
    """Write no question about three of the captions, however often it is asked."""
    prompt = str(handler.body)  # type: ignore[attr-defined]
    asked = "Reply with one JSON object" in prompt and re.search(r"picture, number [012]\.", prompt)
    return bool(asked) and endpoint.saying("never JSON")(handler)


def test_an_endpoint_that_is_gone_stops_the_build_with_a_sentence_and_keeps_what_it_had(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datagen.engines.openai.concurrency.FIRST_PAUSE_SECONDS", 0.001)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(small, server.url, text=None)
        server.faults += [endpoint.saying("no")] * 12  # first tries of the teacher
        server.faults += [endpoint.status(404)] * 100
        with pytest.raises(EngineError, match=r"does not serve teacher: .*run the same command again"):
            build(wanted, Display())
        before = set(Run(wanted.run_dir).attempts.rows())
        assert 0 < len(before) <= 12  # what was in flight when the first 404 came is asked again
        assert all(attempt.problem for attempt in before)
        server.faults.clear()
        run = build(wanted, Display())
    assert before < set(run.attempts.rows())
    assert len([v for v in run.verdicts.rows() if v.filter == "teacher"]) == 12
    assert not run.attempts.frame()["request_key"].is_duplicated().any()


@dataclass
class OneQuestion:
    """A fault of the solver `one` in one question: image replies are cut off, and that from the caption is refused."""

    mark: str = ""

    def __call__(self, handler: BaseHTTPRequestHandler) -> bool:
        body = handler.body  # type: ignore[attr-defined]
        found = re.search(r"What is at (\w+)\?", str(body["messages"])[-2000:])
        if body["model"] != "one" or not found:
            return False
        self.mark = self.mark or found[1]
        if found[1] != self.mark:
            return False
        if "image_url" in str(body["messages"])[:5000]:
            return endpoint.saying(r"\boxed{A}", "length")(handler)
        return "picture, number" in str(body["messages"]) and endpoint.status(400)(handler)


def test_truncated_and_rejected_replies_are_unknown_and_never_wrong(small: Path) -> None:
    with endpoint.serving(endpoint.Endpoint(image_right=0.0)) as server:  # every image reply would be wrong
        wanted = worlds.recipe_over(small, server.url, {"stop": "never", "again": 0})
        server.always = OneQuestion()
        run = build(wanted, Display())
    unknown = sorted(a.outcome for a in run.answers.rows() if a.outcome in ("unparsed", "failed"))
    assert unknown == ["failed", "unparsed", "unparsed"], "the caption, the image, and another image"
    dropped = [v for v in run.verdicts.rows() if v.filter == "perception" and not v.keep]
    assert [(v.reason, v.detail) for v in dropped] == [("unknown_from_image", "one")]


def test_rows_whose_replies_were_all_cut_off_are_unmeasured_and_not_the_hardest(small: Path) -> None:
    with endpoint.serving(endpoint.Endpoint()) as server:
        wanted = worlds.recipe_over(small, server.url, models=serial_models(server.url), perception=None)
        server.faults += [endpoint.saying("<think> and then", "length")] * 6  # all rollouts of the first two rows
        run = build(wanted, Display())
    cut = {a.question_id for a in run.answers.rows() if a.finish == "length"}
    verdicts = [v for v in run.verdicts.rows() if v.filter == "rollouts" and not v.keep]
    assert {v.question_id for v in verdicts} == cut
    assert {(v.reason, v.detail) for v in verdicts} == {("unmeasured", "0 of 3 readable")}
    kept = [row for path in run.stages.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert kept
    assert not cut & {row["question_id"] for row in kept}
    assert {row["pass_n"] for row in kept} == {3}
    assert {(row["kind"], row["extra_info"]["kind"]) for row in kept} == {("number", "number")}


def serial_models(url: str) -> dict[str, object]:
    """One request at a time, so that faults meet the requests they are meant for."""
    model = {"engine": "openai", "base_urls": [url], "concurrency": 1}
    return {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")}


def test_a_changed_recipe_is_refused_and_names_the_keys_while_speed_may_change(small: Path) -> None:
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(small, server.url)
        build(wanted, Display())
        faster = {name: m.model_dump() | {"concurrency": 3} for name, m in wanted.models.items()}
        build(worlds.recipe_over(small, server.url, models=faster), Display())
        with pytest.raises(RecipeError, match=r"rollouts\.k: 3 -> 4; seed: 0 -> 1"):
            build(worlds.recipe_over(small, server.url, seed=1, rollouts={"model": "policy", "k": 4}), Display())


def test_every_bad_source_row_becomes_a_verdict_and_the_rest_goes_on(small: Path) -> None:
    bad = worst_docci(small / "docci")
    with endpoint.serving() as server:
        run = build(worlds.recipe_over(small, server.url), Display())
    reasons = [v.reason for v in run.verdicts.rows() if v.filter == "source" and not v.keep]
    assert sorted(reasons) == sorted(bad)
    assert run.captions.frame().height == 13  # the twelve good ones and the one with braces
    braces = [c.caption for c in run.captions.rows() if "{{" in c.caption]
    assert braces == ["A sign says {{ 7 * 7 }} and {% raw %} < |im_end| > < image> ."]
    line = next(line for line in funnel.lines(run) if (line.stage, line.filter) == ("perception", "source"))
    assert (line.met, line.kept) == (13 + len(bad), 13)


def worst_docci(folder: Path) -> list[str]:
    """Add bad lines to a good release; returns the reasons expected."""
    images = folder / "images"
    (images / "torn.png").write_bytes((images / "train_00000.png").read_bytes()[:60])
    bomb_header = b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", (20000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00")
    (images / "bomb.png").write_bytes(bomb_header + _png_chunk(b"IEND", b""))
    (folder / "secret.png").write_bytes((images / "train_00000.png").read_bytes())
    (images / "link.png").symlink_to(folder / "secret.png")
    good = "train_00001.png"
    lines = [
        (worlds.docci_line("u", "torn.png", "torn"), "unreadable_image"),
        (worlds.docci_line("e", good, "   "), "empty_caption"),
        (worlds.docci_line("m", "absent.png", "missing"), "missing_file"),
        (worlds.docci_line("train_00000", good, "again"), "duplicate_id"),
        (worlds.docci_line("b", "bomb.png", "huge"), "image_too_large"),
        (worlds.docci_line("p", "../secret.png", "escape"), "path_escapes"),
        (worlds.docci_line("l", "link.png", "escape by a link"), "path_escapes"),
        ('{"example_id": "x", "description": ', "malformed_line"),
        ("[1, 2]", "malformed_line"),
        (json.dumps({"example_id": "n", "image_file": good}), "missing_field"),
        (worlds.docci_line("again", good, "A plain picture, number 1."), "duplicate_row"),
    ]
    braces = worlds.docci_line("{{", good, "A sign says {{ 7 * 7 }} and {% raw %} <|im_end|> <image> .")
    with (folder / "docci_descriptions.jsonlines").open("a") as handle:
        handle.write("".join(line + "\n" for line in [*(text for text, _ in lines), braces]))
    return [reason for _, reason in lines]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    import zlib

    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def test_a_source_without_its_layout_is_one_sentence(small: Path) -> None:
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(small, server.url)
        (small / "docci" / "images").rename(small / "docci" / "pictures")
        with pytest.raises(SourceError, match="has neither images nor images_downsampled_2x; unpack the images there"):
            build(wanted, Display())


@pytest.mark.slow
def test_answer_keys_are_balanced_whatever_letter_the_teacher_prefers(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", images=200)
    worlds.problems(tmp_path / "text", count=2)
    with endpoint.serving() as server:  # it always marks A
        run = build(worlds.recipe_over(tmp_path, server.url), Display())
    keys = run.questions.frame().filter(pl.col("stage") == "perception")["answer"].value_counts()
    counts = dict(keys.iter_rows())
    assert set(counts) == set(LETTERS)
    chi_square = sum((counts[letter] - 50) ** 2 / 50 for letter in LETTERS)
    assert chi_square < 16.27  # p = 0.001 at three degrees of freedom; the data are fixed, so it holds always or never


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_at_random_moments_then_rerun_ends_in_the_tables_of_an_undisturbed_run(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", images=30)
    worlds.problems(tmp_path / "text", count=20)
    moments = random.Random(4)
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.02)) as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        wanted = worlds.recipe_over(tmp_path, server.url, name="killed", models=slow_models(server.url))
        file = tmp_path / "killed.yaml"
        file.write_text(recipe.dump(wanted))
        killed = 0
        for _ in range(6):
            killed += kill_after(build_process(file), moments.uniform(1.0, 7.0))
        assert build_process(file).wait() == 0
    assert killed >= 2
    assert content(Run(wanted.run_dir)) == content(clean)
    assert not list(wanted.run_dir.glob("*/.tmp-*"))


def slow_models(url: str) -> dict[str, object]:
    model = {"engine": "openai", "base_urls": [url], "concurrency": 2}
    return {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")}


def build_process(file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "capcurriculum.cli", "build", str(file)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill -9 the process group after a while; false if it had ended by itself."""
    time.sleep(seconds)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True
