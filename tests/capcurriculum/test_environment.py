"""The rows of an environment, their reward, and the check of their gold answers, without any engine."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum import prompts, reward
from capcurriculum.engines import nemo_gym, scoring, source
from capcurriculum.engines.rows import Row, rows
from capcurriculum.engines.source import Selection, Source, StageFiles
from capcurriculum.errors import SourceError
from capcurriculum.files import data_url
from capcurriculum.rows import Outcome
from tests.support import training_data

STAGES = ("perception", "text", "visual")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Three stages of two train and one val rows."""
    folder = tmp_path_factory.mktemp("stages")
    return Source(name="demo", capcurriculum="0", stages=tuple(_stage(folder, stage) for stage in STAGES))


def _stage(folder: Path, name: str) -> StageFiles:
    below = training_data.write_stage(folder, name, train=2, val=1)
    files: Any = {split: (f"{split}-00000-of-00001.parquet",) for split in ("train", "val")}
    return StageFiles(name=name, folder=str(below), files=files)


def row(gold: str = "7/2", options: tuple[str, ...] = (), **changes: Any) -> Row:
    return Row("k", "text", "", ("?",), gold, {"options": options, "question_id": "k"} | changes)


def changed(folder: Path, **columns: Any) -> Source:
    """A source of one row, the first of `visual` with other columns."""
    made = {name: value for name, value in (training_data.row("visual", 0, "train") | columns).items()}
    (folder / "visual").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([made], schema=training_data.schema()), folder / "visual" / "train-0.parquet")
    stage = StageFiles(name="visual", folder=str(folder / "visual"), files={"train": ("train-0.parquet",)})
    return Source(name="x", capcurriculum="0", stages=(stage,))


def test_rows_come_in_curriculum_order_as_training_shows_them(given: Source) -> None:
    found = list(rows(given, Selection()))
    assert [one.key for one in found] == [f"{stage}-train-{number}" for stage in STAGES for number in range(2)]
    assert {one.system for one in found} == {prompts.system()}
    for one in found:
        shown = training_data.row(one.stage, int(one.key[-1]), "train")
        images = [image["bytes"] for image in shown["images"]]  # type: ignore[attr-defined]
        texts = [part for part in one.content if isinstance(part, str)]
        assert [part for part in one.content if isinstance(part, bytes)] == images
        assert "<image>" * len(images) + "".join(texts) == shown["problem"]
        assert one.gold == shown["answer"]


def test_stages_and_splits_are_chosen_and_the_order_stays(given: Source) -> None:
    found = list(rows(given, Selection(stages=("visual", "perception"), split="val")))
    assert [one.key for one in found] == ["perception-val-0", "visual-val-0"]
    with pytest.raises(SourceError, match=r"no stage visul.*; the stages are perception, text, visual"):
        list(rows(given, Selection(stages=("visul",))))
    with pytest.raises(SourceError, match="no test files of perception, text, visual"):
        list(rows(given, Selection(split="test")))


def test_a_tag_in_the_text_of_a_row_without_images_is_text(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "What does <image> mean in HTML?"}]
    (one,) = rows(changed(tmp_path, prompt=said, images=[]), Selection())
    assert one.content == ("What does <image> mean in HTML?",)


def test_a_folder_takes_the_place_of_the_source(given: Source, tmp_path: Path) -> None:
    training_data.write_stage(tmp_path, "text", train=3)
    found = list(rows(given, Selection(stages=("text",), folder=tmp_path)))
    assert len(found) == 3


def test_images_stand_where_the_text_has_them(tmp_path: Path) -> None:
    red, blue = ({"bytes": training_data.picture(name), "path": "x"} for name in ("red", "blue"))
    turns = [{"role": "user", "content": "Is <image> like <image>?"}]
    (one,) = rows(changed(tmp_path, prompt=turns, images=[red, blue]), Selection())
    assert one.content == ("Is ", red["bytes"], " like ", blue["bytes"], "?")
    assert one.system == ""


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"images": []}, "has 0 images and 1 places"),
        ({"images": [{"bytes": None, "path": "/etc/passwd"}]}, "names an image by a path"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "has turns of assistant"),
    ],
)
def test_a_row_that_cannot_be_shown_is_told(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        list(rows(changed(tmp_path, **columns), Selection()))


def test_files_of_other_data_are_told(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "text" / "train-0.parquet")
    stage = StageFiles(name="text", folder=str(tmp_path / "text"), files={"train": ("train-0.parquet",)})
    with pytest.raises(SourceError, match="lacks the columns prompt"):
        list(rows(Source(name="x", capcurriculum="0", stages=(stage,)), Selection()))


def test_the_reward_is_that_of_training() -> None:
    for reply in (r"<think>x</think>\boxed{3.5}", r"\boxed{3.5}", "I do not know", ""):
        assert scoring.score(row(), reply) == reward.compute_score("", reply, "7/2", row().extra)


def test_a_grader_that_failed_is_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"score": 0.0, "accuracy": 0.0, "format": 1.0, "outcome": Outcome.FAILED.value}
    monkeypatch.setattr(scoring, "compute_score", lambda *arguments: found)
    with pytest.raises(scoring.Ungraded, match="row k, so its reward is unknown"):
        scoring.score(row(), "x")


@pytest.mark.parametrize(
    ("content", "reasoning", "whole"),
    [
        ("<think>a</think>b", None, "<think>a</think>b"),
        (r" \boxed{1}", "a", r"<think>a</think> \boxed{1}"),
        (None, "cut off", "<think>cut off"),
        (None, None, ""),
    ],
)
def test_thoughts_of_a_channel_belong_to_the_reply(content: str | None, reasoning: str | None, whole: str) -> None:
    assert scoring.whole_reply(content, reasoning) == whole


def test_every_gold_answer_earns_the_whole_reward(given: Source) -> None:
    assert scoring.validate(rows(given, Selection())) == (6, [])


def test_gold_answers_that_do_not_are_named() -> None:
    number, refused = scoring.validate(iter([row(), row("}"), row("E", ("a", "b", "c", "d"))]))
    assert number == 3
    assert [(one.gold, one.why) for one in refused] == [
        ("}", "Its outcome is unparsed."),
        ("E", "The gold answer 'E' is not the letter of an option (A, B, C, D)."),
    ]


def test_a_description_is_read_back_and_others_are_refused(given: Source, tmp_path: Path) -> None:
    path = tmp_path / source.NAME
    path.write_text(given.model_dump_json(), encoding="utf-8")
    assert source.read(path) == given
    for text in ("{}", "[", json.dumps(given.model_dump(mode="json") | {"format": 2})):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match="no description of this version's"):
            source.read(path)
    with pytest.raises(SourceError, match="cannot be read"):
        source.read(tmp_path / "none.json")


@pytest.mark.parametrize("place", [{"repo": "a/b"}, {"repo": "a/b", "revision": "v1", "folder": "x"}, {}])
def test_a_stage_is_at_one_place(place: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a repo with its revision, or a folder"):
        StageFiles(name="x", files={}, **place)


def test_a_data_url_says_what_the_bytes_are() -> None:
    assert data_url.of_image(training_data.picture("red")).startswith(b"data:image/png;base64,iVBOR")
    assert data_url.of_image(b"??") == b"data:application/octet-stream;base64,Pz8="


def test_lines_of_nemo_gym_hold_the_request_and_what_is_graded(given: Source, tmp_path: Path) -> None:
    path = tmp_path / source.NAME
    path.write_bytes(given.encoded())
    nemo_gym.prepare(path, tmp_path / "data")
    found = {
        split: [json.loads(line) for line in (tmp_path / "data" / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "val", "example")
    }
    assert [len(found[split]) for split in ("train", "val", "example")] == [6, 3, 5]
    system, user = found["train"][-1]["responses_create_params"]["input"]
    assert system == {"role": "system", "content": prompts.system()}
    assert [part["type"] for part in user["content"]] == ["input_image", "input_text"]
    shown = training_data.row("visual", 1, "train")
    assert found["train"][-1]["ground_truth"] == shown["answer"]
    assert found["train"][-1]["options"] == shown["options"]


def test_a_reply_of_nemo_gym_has_its_thoughts() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": r"\boxed{B}"}, {"type": "refusal"}]}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "So."}], "content": None}
    assert nemo_gym.reply([message]) == r"\boxed{B}"
    assert nemo_gym.reply([thought, message]) == r"<think>So.</think>\boxed{B}"
    assert nemo_gym.reply([{"type": "function_call"}]) == ""
