"""Rows of sources on disk, counted before a build; `source_data.read` counts every layout of the readers' own tests."""

from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Stage
from datagen.sources import counting, registry
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from tests.support import source_data as data
from tests.support import worlds

SPLITS = ("train", "test", "train", "val", "train")


def sums(folder: Path, **keys: Any) -> SourceSection:
    return data.section("problems", folder, columns={"problem": "q", "answer": "a", "split": "part"}, **keys)


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "parquet", "arrow"])
def test_a_limit_is_a_bound_and_splits_are_chosen(tmp_path: Path, form: str) -> None:
    rows = [{"q": f"What is {n} + 1?", "a": str(n + 1), "part": SPLITS[n % 5]} for n in range(300)]
    data.write_form(form, tmp_path / "set", rows)
    section = {"files": [f"*.{form}"]}

    def count(**keys: Any) -> int:
        return counting.rows(sums(tmp_path / "set", **section, **keys), Stage.TEXT)

    assert (count(), count(limit=1000), count(limit=100)) == (300, 300, 100)
    assert (count(splits=["train"]), count(splits=["val", "test"]), count(splits=["no"])) == (180, 120, 0)
    assert (count(splits=["train"], limit=1000), count(splits=["train"], limit=50)) == (180, 50)


def test_the_rows_of_all_files_together_are_limited(tmp_path: Path) -> None:
    for number in range(3):
        data.parquet(tmp_path / f"set/rows-{number}.parquet", [{"q": f"{number}", "a": "1", "part": "x"}] * 4)
    data.write_lines(tmp_path / "set/rows-3.jsonl", [{"q": "?", "a": "1", "part": "x"}] * 5)
    found = [counting.rows(sums(tmp_path / "set", limit=limit), Stage.TEXT) for limit in (3, 4, 9, 14, 100)]
    assert found == [3, 4, 9, 14, 17]


def test_a_release_of_docci_counts_its_splits_and_opens_no_picture(tmp_path: Path) -> None:
    folder = worlds.docci(tmp_path / "docci", 4)
    file = folder / "docci_descriptions.jsonlines"
    first, *others = file.read_text().splitlines()
    worlds.write_lines(file, [first, "", others[0].replace('"train"', '"test"'), "no JSON", *others[1:]])
    for picture in (folder / "images").iterdir():
        picture.write_bytes(b"no picture")
    section = data.section("docci", folder)
    assert counting.rows(section, Stage.PERCEPTION) == 4  # one is no JSON, which only reading tells
    assert counting.rows(section.model_copy(update={"splits": ("test",)}), Stage.PERCEPTION) == 2
    assert counting.rows(section.model_copy(update={"limit": 2}), Stage.PERCEPTION) == 2


def test_parts_of_vlaa_and_their_counts(tmp_path: Path) -> None:
    folder = data.vlaa(tmp_path / "vlaa")
    assert counting.rows(data.section("vlaa", folder), Stage.VISUAL) == 4
    some = data.section("vlaa", folder, parts={"clevr_math": 2000, "docvqa": None})
    assert counting.rows(some, Stage.VISUAL) == 2
    assert counting.rows(some.model_copy(update={"limit": 1}), Stage.VISUAL) == 1


def test_nothing_is_written(tmp_path: Path) -> None:
    picture = {"bytes": data.picture(), "path": "x.png"}
    data.parquet(tmp_path / "p/train-0.parquet", [{"image": picture, "text": "A, b."}] * 3)
    data.zipped(tmp_path / "q/pictures.zip", {"a.png": data.picture()})
    data.write_lines(tmp_path / "q/rows.jsonl", [{"image": "a.png", "text": "A, b."}] * 2)
    before = sorted(tmp_path.rglob("*"))
    columns = {"image": "image", "caption": "text"}
    embedded = data.section("captions", tmp_path / "p", columns=columns)
    packed = data.section("captions", tmp_path / "q", columns=columns, images="pictures.zip", files=["*.jsonl"])
    assert [counting.rows(one, Stage.PERCEPTION) for one in (embedded, packed)] == [3, 2]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("splits", [[], ["train"]])
def test_a_file_that_is_cut_off_is_said_as_the_build_says_it(tmp_path: Path, splits: list[str]) -> None:
    rows = [{"q": "1 + 1?", "a": "2", "part": "train"}]
    data.parquet(tmp_path / "set/a.parquet", rows)
    whole = data.parquet(tmp_path / "set/b.parquet", rows)
    whole.write_bytes(whole.read_bytes()[:-9])
    section = sums(tmp_path / "set", splits=splits)
    with pytest.raises(SourceError, match=r"b.parquet is not a sound Parquet file") as counted:
        counting.rows(section, Stage.TEXT)
    place = Place(tmp_path / "set", "s", Store(tmp_path / "run"))
    with pytest.raises(SourceError) as read:
        list(registry.rows(section, place, Stage.TEXT, Stage.TEXT, ()))
    assert str(counted.value) == str(read.value)


def test_a_missing_column_and_a_missing_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not there; check the recipe's path"):
        counting.rows(sums(tmp_path / "set"), Stage.TEXT)
    data.write_lines(tmp_path / "set/rows.jsonl", [{"q": "1 + 1?", "a": "2"}])
    with pytest.raises(SourceError, match="no column 'part'; it has a, q"):
        counting.rows(sums(tmp_path / "set"), Stage.TEXT)
