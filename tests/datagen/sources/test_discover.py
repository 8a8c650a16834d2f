"""What lies at a path, as sections of a recipe."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import SourceError
from capcurriculum.rows import Stage
from datagen.sources.discover import candidates, columns, sample
from datagen.sources.formats.record import Keys
from tests.support import source_data as data

QUESTION = "What colour is it?"
COLOURS = ["red", "blue", "green", "teal"]


def guessed(*rows: dict[str, Any]) -> dict[str, object]:
    keys = Keys("s")
    found = columns.guess([keys.record(number, row) for number, row in enumerate(rows, 1)])
    return {name: value for name in columns.Columns.model_fields if (value := getattr(found.columns, name))}


def only(path: Path) -> candidates.Candidate:
    (found,) = candidates.at(path).candidates
    return found


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"problem": "1+1?", "answer": 2}, {"problem": "problem", "answer": "answer"}),
        ({"Question": "1+1?", "GT": "2"}, {"problem": "Question", "answer": "GT"}),
        ({"file_name": "a.JPG", "text": "A cup."}, {"image": "file_name", "caption": "text"}),
        ({"image": {"bytes": b"x"}, "captions": ["One.", "Two."]}, {"image": "image", "caption": "captions.0"}),
        ({"image": "a.png", "text": "Is it red?", "label": "yes"}, {"problem": "text", "answer": "label"}),
        ({"question": QUESTION, "choices": COLOURS, "answer": 1}, {"options": "choices"}),
        ({"question": QUESTION, "A": "red", "B": "blue", "answer": "A"}, {"options": ("A", "B")}),
        ({"question": QUESTION, "opt2": "blue", "opt1": "red", "answer": "x"}, {"options": ("opt1", "opt2")}),
        ({"question": "The sides?", "a": 3, "b": 4, "answer": "5"}, {"answer": "answer"}),
        (
            {"prompt": [{"role": "user", "content": "1+1?"}], "reward_model": {"ground_truth": "2"}},
            {"problem": "prompt.0.content", "answer": "reward_model.ground_truth"},
        ),
        ({"question": "1+1?", "answer": "It is\n#### 2"}, {"answer": "answer"}),
    ],
)  # fmt: skip
def test_columns_are_known_by_name_and_value(row: dict[str, Any], wanted: dict[str, object]) -> None:
    found = guessed(row, row)
    assert {name: found.get(name) for name in wanted} == wanted
    assert ("options" in wanted) == ("options" in found)


def test_a_name_without_such_values_is_not_taken() -> None:
    found = guessed({"image": 5, "caption": None, "answer": {"a": 1, "b": 2}})
    assert not {"image", "caption", "answer"} & found.keys()


def test_the_mark_of_worked_solutions_is_found(tmp_path: Path) -> None:
    path = lines(tmp_path / "gsm.jsonl", [{"question": f"{n}+1?", "answer": f"so\n#### {n + 1}"} for n in range(4)])
    found = only(path)
    assert found.section.columns is not None
    assert found.section.columns.gold.after == "####"
    assert sample.take(found).losses.kept == 4


def test_an_imagefolder_leaves_its_test_split_out(tmp_path: Path) -> None:
    for split, colours in (("train", range(3)), ("test", range(5, 7))):
        rows = [{"file_name": f"{n}.png", "text": f"A cup {n}"} for n in colours]
        lines(tmp_path / split / "metadata.jsonl", rows)
        for n in colours:
            (tmp_path / split / f"{n}.png").write_bytes(data.picture(n))
    found = only(tmp_path)
    assert (found.stage, found.section.splits, found.form) == (Stage.PERCEPTION, ("train",), "an imagefolder")
    assert sample.take(found).total == 3


def test_images_are_looked_for_in_the_folders_below(tmp_path: Path) -> None:
    lines(tmp_path / "data.jsonl", [{"img": f"{n}.png", "question": "How many?", "answer": n} for n in range(3)])
    (tmp_path / "deep" / "pics").mkdir(parents=True)
    for n in range(2):
        (tmp_path / "deep" / "pics" / f"{n}.png").write_bytes(data.picture(n))
    found = only(tmp_path)
    assert (found.stage, found.section.images) == (Stage.VISUAL, "deep/pics")
    taken = sample.take(found)
    assert (taken.losses.kept, dict(taken.closed.lost)) == (2, {"missing_file": 1})


def test_files_with_other_columns_are_sources_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(data.picture(1))
    lines(tmp_path / "captions.jsonl", [{"image": "a.png", "caption": "A cup"}])
    lines(tmp_path / "problems.jsonl", [{"problem": "1+1?", "answer": "2"}])
    lines(tmp_path / "notes.jsonl", [{"note": "x"}])
    found = candidates.at(tmp_path)
    files = {one.stage: one.section.files for one in found.candidates}
    assert files == {Stage.PERCEPTION: ("captions.jsonl",), Stage.TEXT: ("problems.jsonl",)}
    assert [(one.name, one.columns) for one in found.unread] == [("notes.jsonl", ("note",))]


def test_names_of_files_are_no_patterns(tmp_path: Path) -> None:
    lines(tmp_path / "set" / "[a]*.jsonl", [{"problem": "1+1?", "answer": "2"}])
    lines(tmp_path / "set" / "other.jsonl", [{"note": "x"}])
    found = only(tmp_path / "set")
    assert sample.take(found).total == 1


def test_files_in_capitals_are_named(tmp_path: Path) -> None:
    lines(tmp_path / "P.JSONL", [{"problem": "1+1?", "answer": "2"}])
    found = only(tmp_path)
    assert found.section.files == ("**/*.JSONL",)
    assert sample.take(found).total == 1


def test_conversations_are_read_as_orz_has_them(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "1+1?"}, {"from": "assistant", "ground_truth": {"value": "2"}}]
    data.write_json(tmp_path / "math.json", [turns])
    found = only(tmp_path / "math.json")
    assert (found.section.kind, found.section.name) == ("orz", "math")
    assert sample.take(found).losses.kept == 1


def test_keys_that_can_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    rows = [{"question": f"{QUESTION} {n}", "choices": COLOURS, "answer": 1 + n % 2} for n in range(4)]
    with pytest.raises(SourceError, match="one_based or zero_based"):
        sample.take(only(lines(tmp_path / "mcq.jsonl", rows)))


def test_a_run_inside_the_folder_is_no_data(tmp_path: Path) -> None:
    lines(tmp_path / "problems.jsonl", [{"problem": "1+1?", "answer": "2"}])
    lines(tmp_path / "runs" / "x" / "stages" / "rows.jsonl", [{"problem": "2+2?", "answer": "4"}])
    for name in ("run.json", "recipe.yaml"):
        (tmp_path / "runs" / "x" / name).write_text("{}", encoding="utf-8")
    assert only(tmp_path).section.files == ("*.jsonl",)
