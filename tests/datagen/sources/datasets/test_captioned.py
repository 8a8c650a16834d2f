"""Captioned images: DOCCI's layouts and splits, and any data set by column mapping."""

import json
from pathlib import Path

import pytest

from capcurriculum.errors import SourceError
from capcurriculum.rows import CaptionedImage, Stage
from datagen.sources.formats.record import Keys
from tests.support import source_data as data
from tests.support import worlds


def captions(rows: list[data.Row]) -> list[CaptionedImage]:
    return [row for row in rows if isinstance(row, CaptionedImage)]


def docci(folder: Path) -> Path:
    """A release with a line of every split."""
    worlds.docci(folder, images=4)
    file = folder / "docci_descriptions.jsonlines"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line, split in zip(lines, ("train", "test", "qual_dev", "qual_test"), strict=True):
        line["split"] = split
    return data.write_lines(file, lines).parent


def test_doccis_test_splits_are_left_out_as_verdicts_and_restored_by_a_switch(tmp_path: Path) -> None:
    folder = docci(tmp_path / "docci")
    rows = data.read(data.section("docci", folder), tmp_path / "run", Stage.PERCEPTION)
    assert [c.example_id for c in captions(rows)] == ["train_00000"]
    assert data.reasons(rows) == ["unselected_split"] * 3
    every = data.section("docci", folder, splits=["train", "test", "qual_dev", "qual_test"])
    assert len(captions(data.read(every, tmp_path / "run", Stage.PERCEPTION))) == 4


def test_docci_with_its_archive_still_packed_gives_the_same_rows(tmp_path: Path) -> None:
    folder = docci(tmp_path / "docci")
    unpacked = data.read(data.section("docci", folder), tmp_path / "run", Stage.PERCEPTION)
    images = {f"images/{path.name}": path.read_bytes() for path in (folder / "images").iterdir()}
    data.tar(folder / "docci_images.tar.gz", images)
    (folder / "images").rename(tmp_path / "elsewhere")
    packed = data.read(data.section("docci", folder), tmp_path / "run", Stage.PERCEPTION)
    assert data.reasons(packed) == data.reasons(unpacked)
    assert [c.caption_id for c in captions(packed)] == [c.caption_id for c in captions(unpacked)]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_docci_as_the_hub_has_it(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "docci"
    if form == "csv":
        for split in ("train", "test"):
            row = {"example_id": f"{split}_1", "split": split, "image_file": f"{split}_1.jpg", "description": "A, b."}
            data.write_csv(folder / f"{split}.csv", [row])
        data.tar(
            folder / "images.tar.gz", {f"images/{s}_1.jpg": data.picture(3, kind="JPEG") for s in ("train", "test")}
        )
    else:
        for split in ("train", "test"):
            row = {
                "image": {"bytes": data.picture(3), "path": "x.png"},
                "example_id": f"{split}_1",
                "description": "A, b.",
            }
            data.parquet(folder / f"data/{split}-00000-of-00001.parquet", [row])
    (found,) = captions(data.read(data.section("docci", folder), tmp_path / "run", Stage.PERCEPTION))
    assert (found.example_id, found.caption, found.license, found.source) == ("train_1", "A, b.", "cc-by-4.0", "DOCCI")
    assert (tmp_path / "run" / found.image_path).is_file()


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "parquet", "arrow"])
@pytest.mark.parametrize("packed", [False, True])
def test_captions_of_any_data_set_by_column_mapping(tmp_path: Path, form: str, packed: bool) -> None:
    folder = tmp_path / "set"
    rows = [{"name": f"{n}.png", "says": f"Picture {n}.", "key": f"k{n}"} for n in range(3)]
    data.write_form(form, folder, rows)
    files = {f"{n}.png": data.picture(n) for n in range(2)}
    if packed:
        data.zipped(folder / "pictures.zip", files)
    else:
        (folder / "pictures").mkdir(parents=True)
        for name, content in files.items():
            (folder / "pictures" / name).write_bytes(content)
    columns = {"image": "name", "caption": "says", "id": "key"}
    images = "pictures.zip" if packed else "pictures"
    pattern = {"files": [f"*.{form}"]}
    section = data.section("captions", folder, columns=columns, images=images, source="set", license="mit", **pattern)
    found = data.read(section, tmp_path / "run", Stage.PERCEPTION)
    assert [(c.example_id, c.caption, c.license) for c in captions(found)] == [
        ("k0", "Picture 0.", "mit"), ("k1", "Picture 1.", "mit"),
    ]  # fmt: skip
    assert data.reasons(found) == ["missing_file"]
    start = "images/" if packed else "link/pictures/"
    assert all(c.image_path.startswith(start) for c in captions(found))


def test_captions_of_bad_rows_are_verdicts(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").write_bytes(data.picture(1))
    (tmp_path / "secret.png").write_bytes(data.picture(2))
    lines = ['{"image": "a.png", "caption": "One."}', "nonsense", '{"image": "../secret.png", "caption": "Two."}']
    lines += ['{"image": ["a.png", "a.png"], "caption": "Three."}', '{"caption": "Four."}', lines[0]]
    worlds.write_lines(tmp_path / "set/rows.jsonl", lines)
    section = data.section("captions", tmp_path / "set", columns={}, source="s")
    found = data.read(section, tmp_path / "run", Stage.PERCEPTION)
    assert len(captions(found)) == 1
    assert data.reasons(found) == ["malformed_line", "path_escapes", "several_images", "missing_field", "duplicate_row"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("r.jsonl", '{"text": "x", "image": "y"}\n', "no column 'caption'; it has image, text"),
        ("r.csv", "image,text\na,b\n", "no column 'caption'; it has image, text"),
        ("r.parquet", "PAR1 but no more", "not a sound Parquet file"),
        ("r.arrow", "no arrow", "not a sound Arrow stream"),
        ("r.xml", "<x/>", "has no .*it has: r.xml"),
    ],
)
def test_another_layout_is_one_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    section = data.section("captions", tmp_path, columns={}, source="s")
    with pytest.raises(SourceError, match=sentence):
        data.read(section, tmp_path / "run", Stage.PERCEPTION)


def test_equal_rows_have_different_keys_and_the_same_ones_every_time() -> None:
    keys = [[Keys("s").record(1, {"a": 1}).key], []]
    again = Keys("s")
    keys[1] = [again.record(n, {"a": 1}).key for n in range(3)]
    assert keys[0][0] == keys[1][0]
    assert len(set(keys[1])) == 3
    assert Keys("t").record(1, {"a": 1}).key != keys[0][0]
