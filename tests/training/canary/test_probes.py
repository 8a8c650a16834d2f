"""The prompts that the canary asks: of which rows, with which pictures, and that only pixels differ."""

from typing import Any

import pytest
from PIL import Image

from tests.support import pictures
from training.canary.probes import probes, rows_with_pictures
from training.canary.rule import BLANK, NONE

datasets = pytest.importorskip("datasets")


def prompt(picture: Image.Image) -> list[dict[str, Any]]:
    """A row's messages as verl's data set makes them."""
    image = {"type": "image", "image": picture, "min_pixels": 1024, "max_pixels": 9216}
    return [
        {"role": "system", "content": [{"type": "text", "text": "Think."}]},
        {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]},
    ]


class Rows:
    """Of verl's data set, what the canary reads: rows, and messages with opened pictures."""

    image_key = "images"

    def __init__(self, shown: list[Image.Image | None]) -> None:
        images = [[{"bytes": pictures.png(one), "path": ""}] if one else [] for one in shown]
        self.dataframe = datasets.Dataset.from_dict({"images": images, "number": list(range(len(shown)))})
        self.shown = shown

    def __getitem__(self, place: int) -> dict[str, Any]:
        picture = self.shown[place]
        assert picture is not None, "a row without a picture was read"
        return {"raw_prompt": prompt(picture)}


def test_rows_are_those_with_pictures_and_no_picture_stands_twice() -> None:
    shown = [pictures.noise(number // 2) if number % 3 else None for number in range(18)]
    chosen = rows_with_pictures(Rows(shown), seed=1)
    assert len(chosen) == 4
    assert all(shown[place] for place in chosen)
    assert len({place // 2 for place in chosen}) == 4
    assert rows_with_pictures(Rows(shown), seed=1) == chosen
    assert any(rows_with_pictures(Rows(shown), seed=seed) != chosen for seed in range(2, 6))


def test_few_rows_or_none_are_taken_as_they_are() -> None:
    assert rows_with_pictures(Rows([None, pictures.noise(1), None]), seed=0) == [1]
    assert rows_with_pictures(Rows([None, None]), seed=0) == []
    without = Rows([None])
    without.dataframe = without.dataframe.remove_columns("images")
    assert rows_with_pictures(without, seed=0) == []


def test_each_row_is_asked_with_each_picture_a_blank_one_and_none() -> None:
    shown = [pictures.noise(number, 64 + 32 * number) for number in range(3)]
    prompts = [prompt(picture) for picture in shown]
    made = probes(prompts)
    assert [(one.row, one.picture) for one in made] == [(r, p) for r in range(3) for p in (0, 1, 2, BLANK, NONE)]
    for one in made:
        system, user = one.messages
        assert system == prompts[one.row][0]
        assert user["content"][-1] == {"type": "text", "text": "What is it?"}
        if one.picture == NONE:
            assert len(user["content"]) == 1
            continue
        part = user["content"][0]
        assert (part["min_pixels"], part["max_pixels"]) == (1024, 9216)
        assert part["image"].size == shown[one.row].size  # so that all prompts of a row have as many tokens
        if one.picture == one.row:
            assert part["image"] is shown[one.row]
        elif one.picture == BLANK:
            assert part["image"].getcolors() == [(part["image"].width * part["image"].height, (128, 128, 128))]
        else:
            assert part["image"].tobytes() == shown[one.picture].resize(part["image"].size).tobytes()
    assert [messages[1]["content"][0]["image"] for messages in prompts] == shown  # the rows themselves are as before
