"""What TRL is given, without TRL: prompts as blocks, and the reward in its signature."""

import io
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from PIL import Image

from capcurriculum import prompts
from capcurriculum.answers import Grade
from capcurriculum.engines import trl
from capcurriculum.errors import TrainerError
from capcurriculum.rows import Outcome
from curricula import stage_rows
from tests.support import training_data

GOLDS = [{"style": "rule", "ground_truth": gold} for gold in ("B", "7")]
EXTRAS = [{"options": ["a cat", "a dog"], "kind": ""}, {"options": [], "kind": None}]


def png(colour: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, training_data.COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


def published(rows: Sequence[tuple[str, Sequence[str]]], size: Sequence[tuple[int, int]] = ((96, 96),)) -> Dataset:
    """A set in the schema of stage files, of texts of problems and colours of pictures, in these sizes in turn."""
    sizes = itertools.cycle(size)
    features = stage_rows.features()
    found = []
    for number, (problem, colours) in enumerate(rows):
        row: dict[str, Any] = dict.fromkeys(features) | training_data.row("text", number, "train")
        row["prompt"][1]["content"] = row["problem"] = problem
        row["images"] = [{"bytes": png(colour, next(sizes)), "path": None} for colour in colours]
        row["extra_info"] |= {"kind": "", "skill": ""}
        found.append(row)
    return Dataset.from_list(found, features=features)


ROWS = published(
    [
        ("<image>What is it?", ["red"]),
        ("Left <image> or\n<image>right?", ["red", "blue"]),
        ("What does the tag <image> do?", []),
    ]
)


def contents(rows: Any) -> list[Any]:
    return [row["prompt"][1]["content"] for row in rows]


def test_each_picture_stands_in_the_place_of_its_tag_and_no_tag_stays() -> None:
    one, two, none = contents(trl.rows(ROWS))
    picture = {"type": "image"}
    assert one == [picture, {"type": "text", "text": "What is it?"}]
    left, right = {"type": "text", "text": "Left "}, {"type": "text", "text": "right?"}
    assert two == [left, picture, {"type": "text", "text": " or\n"}, picture, right]
    assert none == "What does the tag <image> do?"  # verl leaves it too: there is no picture it could stand for


def test_the_rest_of_a_row_is_as_published() -> None:
    shown = trl.rows(ROWS)[0]
    assert shown["prompt"][0] == {"role": "system", "content": [{"type": "text", "text": prompts.system()}]}
    assert shown["images"][0].size == (96, 96)
    assert {name: value for name, value in shown.items() if name not in ("prompt", "images")} == {
        name: value for name, value in ROWS[0].items() if name not in ("prompt", "images")
    }
    assert ROWS[0]["prompt"][1]["content"] == "<image>What is it?"


def test_streams_splits_and_columns_alone_are_read_too(tmp_path: Path) -> None:
    expected = contents(trl.rows(ROWS))
    assert contents(trl.rows(ROWS.to_iterable_dataset())) == expected
    assert contents(trl.rows(DatasetDict({"train": ROWS}))["train"]) == expected
    assert contents(trl.rows(ROWS).select([2, 1, 0])) == expected[::-1]
    assert trl.rows(ROWS)["answer"][0] == ROWS[0]["answer"]


def test_a_row_whose_tags_and_pictures_differ_is_refused() -> None:
    with pytest.raises(TrainerError, match="says <image> 1 times and its row has 2 pictures"):
        trl.rows(published([("<image>Why?", ["red", "red"])]))[0]


@pytest.mark.parametrize(
    ("reply", "paid"),
    [
        (r"<think>So.</think> \boxed{a dog}", 1.0),
        ([{"role": "assistant", "content": r"<think>So.</think> \boxed{a dog}"}], 1.0),
        ([{"role": "assistant", "content": [{"type": "text", "text": r"<think>So.</think> \boxed{B}"}]}], 1.0),
        ([{"role": "assistant", "reasoning_content": "So.", "content": r"\boxed{B}"}], 1.0),
        (
            [
                {"role": "assistant", "content": "A"},
                {"role": "tool", "content": "A"},
                {"role": "assistant", "content": "B"},
            ],
            0.9,
        ),
        ([], 0.0),
    ],
    ids=["text", "turn", "blocks", "parsed thought", "last turn", "nothing"],
)
def test_a_reply_is_read_in_every_form_that_trl_gives(reply: Any, paid: float) -> None:
    found = trl.reward(prompts=[[]], completions=[reply], reward_model=GOLDS[:1], extra_info=EXTRAS[:1])
    assert found == [pytest.approx(paid)]


def test_what_could_not_be_compared_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [Outcome.FAILED, Outcome.UNPARSED]
    monkeypatch.setattr("capcurriculum.reward.grade_many", lambda items: [Grade(one, "") for one in outcomes])
    logged: dict[str, float] = {}
    replies = ["x", "y"]
    assert trl.reward(replies, GOLDS, EXTRAS, log_metric=logged.__setitem__) == [None, 0.0]
    assert logged == {
        "replies/right": 0.0,
        "replies/unparsed": 0.5,
        "replies/failed": 0.5,
        "replies/well_formed": 0.0,
    }
    penalized = partial(trl.reward, unparsed_penalty=0.5)
    assert penalized(completions=replies, reward_model=GOLDS, extra_info=EXTRAS) == [None, -0.5]


def test_rows_without_their_gold_answers_are_refused_in_a_sentence() -> None:
    with pytest.raises(TrainerError, match="without their column reward_model"):
        trl.reward(prompts=[[]], completions=["x"])


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import json, sys, capcurriculum.engines.trl as t\n"
        "t.reward(['x'], [{'ground_truth': 'A'}], [{'options': list('abcd')}])\n"
        "heavy = ('torch', 'trl', 'transformers', 'datasets', 'numpy', 'pyarrow', 'PIL', 'pydantic')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == []
