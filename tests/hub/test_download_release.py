"""The authors' release, as its layout is described, becomes a run of ours: rows, predictions, pass rates, licences."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capcurriculum import prompts, recipe
from capcurriculum.errors import HubError
from capcurriculum.ledger import funnel
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.make import curriculum
from hub.download.run import Wanted, download
from hub.patience import Patience
from tests.support import hub_runs
from tests.support.hub_server import Served, serving
from tests.support.preflight_data import look
from training import stage_files

PREFIX = "UCSC-VLAA/VLM-CapCurriculum"
PATIENCE = Patience(tries=2, max_retry_after=5, sleep=lambda seconds: None)
PERCEPTION = (
    "<image>In the image, what is at place {n}?\nOptions:\nA: thing {n}\nB: b {n}\nC: c {n}\nD: d {n}\n"
    "Respond using only the letter corresponding to the correct answer.\n"
)


def row(number: int, problem: str, answer: str, images: list[str], source: str, right: int) -> dict[str, Any]:
    """A row as the release has them, `right` of 16 predictions being right."""
    predictions = [answer] * right + ["None"] + ["wrong"] * (15 - right)
    return {
        "index": str(number), "problem": problem, "answer": answer, "images": images, "source": source,
        "predictions": predictions, "correctness": [True] * right + [False] * (16 - right), "pass_rate": right / 16,
    }  # fmt: skip


def archive(names: list[str], extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as bundle:
        for info in extra:
            bundle.addfile(info, io.BytesIO(b"x" * info.size))
        for number, name in enumerate(names):
            data = hub_runs.picture(number, 40)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
    return file.getvalue()


def lines(rows: list[dict[str, Any]], *more: str) -> bytes:
    return "".join(line + "\n" for line in [*map(json.dumps, rows), *more]).encode()


def release(served: Served) -> None:
    """All three repos, with the kinds of faults that data has."""
    folder = "DOCCI/images_downsampled_2x"
    perception = [
        row(n, PERCEPTION.format(n=n), "A", [f"{folder}/train_{n:05d}.jpg"], "docci", 15 - n) for n in range(10)
    ]
    lost = row(10, PERCEPTION.format(n=10), "B", [f"{folder}/train_99999.jpg"], "docci", 3)
    lying = row(11, PERCEPTION.format(n=11), "A", [f"{folder}/train_00001.jpg"], "docci", 3) | {"pass_rate": 0.9}
    outside = row(12, PERCEPTION.format(n=12), "A", ["../../etc/passwd"], "docci", 3)
    link = tarfile.TarInfo("images_downsampled_2x/train_00003.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    escape = tarfile.TarInfo("../../../escaped.txt")
    escape.size = 3
    names = [f"images_downsampled_2x/train_{n:05d}.jpg" for n in range(20)]
    served.hub.put(
        f"{PREFIX}-Perception-Data",
        {
            "perception_difficulty_curriculum.jsonl": lines([*perception, lost, lying, outside], "{torn", "[1]"),
            "images/docci.tar.gz": archive(names, (link, escape)),
        },
    )
    text = [row(n, f"What is {n} + {n}?", str(2 * n), [], "ORZ-Math-13k", n % 15) for n in range(40)]
    served.hub.put(f"{PREFIX}-TextReasoning-Data", {"textual_reasoning_difficulty_curriculum.jsonl": lines(text)})
    sources = ("clevr_math", "geoqa170k", "synthesis", "arxivqa")
    choice = "<image>Which is right?\nChoices:\nA: one\nB: two\n"
    visual = [
        row(n, choice if n % 2 else f"<image>How many, {n}?", "B" if n % 2 else str(n), [f"{sources[n % 4]}/{n}.png"],
            sources[n % 4], 7)
        for n in range(12)
    ]  # fmt: skip
    served.hub.put(
        f"{PREFIX}-VisualReasoning-Data",
        {
            "visual_reasoning_difficulty_curriculum.jsonl": lines(visual),
            "images/synthesis.tar.gz": archive([f"{sources[n % 4]}/{n}.png" for n in range(12)]),
        },
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hub")
    with serving(folder / "server") as server, pytest.MonkeyPatch.context() as patch:
        hub_runs.connect(patch, server, folder / "home")
        release(server)
        yield server


@pytest.fixture(scope="module")
def run(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Run:
    target = tmp_path_factory.mktemp("runs") / "VLM-CapCurriculum"
    return Run(download(Wanted(PREFIX, to=target, val=0.2), Display(), PATIENCE))


def rows(run: Run, stage: str) -> list[dict[str, Any]]:
    paths = sorted((run.stages / stage).glob("*.parquet"))
    return [one for path in paths for one in pq.read_table(path).to_pylist()]


@pytest.mark.usefixtures("light_preflight")
def test_the_release_passes_what_training_asks(run: Run) -> None:
    for stage in ("perception", "text", "visual"):
        files = stage_files.set_files(stage, [run.path / "stages" / stage])
        inspection, _ = look(run.path, files, 2048)
        assert inspection.findings.errors() == []
        assert files.rows
    wanted = recipe.load(run.path / "recipe.yaml")
    assert wanted.run_dir == run.path
    assert wanted.training is not None
    assert wanted.training.backbone == "qwen3_vl_8b"


def test_predictions_are_the_released_ones_and_pass_rates_those_of_what_was_read(run: Run) -> None:
    found = {one["problem"]: one for one in rows(run, "perception")}
    assert len(found) == 10
    for number in range(10):
        question = f"In the image, what is at place {number}?"
        one = next(one for problem, one in found.items() if question in problem)
        assert one["pass_rate"] == (15 - number) / 15
        assert (one["pass_n"], one["pass_unreadable"], one["pass_failed"]) == (15, 1, 0)
        assert one["predictions"] == ["A"] * (15 - number) + ["None"] + ["wrong"] * number
        assert one["correctness"] == [True] * (15 - number) + [None] + [False] * number


def test_the_prompts_are_ours(run: Run) -> None:
    one = rows(run, "perception")[0]
    assert one["prompt"][0] == {"role": "system", "content": prompts.system()}
    number = one["options"][0].split()[-1]
    options = dict(zip("ABCD", [f"{word} {number}" for word in ("thing", "b", "c", "d")], strict=True))
    assert one["problem"] == "<image>" + prompts.choice(f"In the image, what is at place {number}?", options)
    assert "Respond using only" not in one["problem"]
    choice = next(one for one in rows(run, "visual") if one["options"])
    assert (choice["options"], choice["answer"]) == (["one", "two"], "B")


def test_training_rows_go_from_easy_to_hard(run: Run) -> None:
    paths = sorted((run.stages / "text").glob("train-*"))
    rates = [rate for path in paths for rate in pq.read_table(path)["pass_rate"].to_pylist()]
    assert rates == sorted(rates, reverse=True)
    assert curriculum(run.recipe(), OrderSection(order="merged"), Display()).is_dir()


def test_every_row_keeps_the_licence_of_its_own_source(run: Run) -> None:
    found = {(one["source"], one["license"]) for stage in ("perception", "text", "visual") for one in rows(run, stage)}
    assert found == {
        ("DOCCI", "cc-by-4.0"),
        ("ORZ-Math-13k", "mit"),
        ("CLEVR-Math", "cc-by-4.0"),
        ("GeoQA170K", "unknown"),
        ("Math-PUMA", "gpl-3.0"),
        ("ArxivQA", "cc-by-sa-4.0"),
    }


def test_what_could_not_be_used_is_in_the_ledger_with_its_reason(run: Run) -> None:
    (source,) = [line for line in funnel.lines(run) if (line.stage, line.filter) == ("perception", "source")]
    assert (source.met, source.kept) == (15, 10)
    assert dict(source.dropped) == {"missing_file": 2, "malformed_line": 3}


def test_archives_write_nothing_but_checked_pictures(run: Run, served: Served) -> None:
    assert not list(run.path.parent.parent.rglob("escaped.txt"))
    kept = [path for path in (run.path / "images").rglob("*") if path.is_file() and path.suffix != ".jsonl"]
    assert {path.suffix for path in kept} == {".png"}
    assert not any(path.is_symlink() for path in kept)


def test_a_stage_of_the_release_comes_alone_and_offline(
    served: Served, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    target = download(Wanted(f"{PREFIX}-TextReasoning-Data", to=tmp_path / "text", val=0.2), Display(), PATIENCE)
    assert (
        stage_files.set_files("text", [target / "stages" / "text"]).digest
        == stage_files.set_files("text", [run.path / "stages" / "text"]).digest
    )
    training = recipe.load(target / "recipe.yaml").training
    assert training is not None
    assert [one.stage for one in training.stages] == ["text"]
    with pytest.raises(HubError, match="There is no stage sound"):
        download(Wanted(PREFIX, to=tmp_path / "none", stages=("sound",)), Display(), PATIENCE)


def test_a_release_without_a_usable_row_is_refused(served: Served, tmp_path: Path) -> None:
    served.hub.put("alice/empty", {"textual_reasoning.jsonl": b'{"problem": "x", "answer": "1", "correctness": []}\n'})
    with pytest.raises(HubError, match=r"No row of alice/empty could be used \(missing_field 1\)"):
        download(Wanted("alice/empty", to=tmp_path / "x"), Display(), PATIENCE)
    assert not list(tmp_path.iterdir())
