"""Images with their texts in files beside them."""

from pathlib import Path
from typing import Any

from capcurriculum.rows import CaptionedImage, Stage, Verdict
from datagen.sources import counting
from tests.support import source_data as data


def captioned(folder: Path, column: str = "txt", **keys: Any) -> list[data.Row]:
    keys = {"files": ["**/*.png", "**/*.PNG"], "columns": {"image": "image", "caption": column}} | keys
    return data.read(data.section("captions", folder, **keys), folder.parent / "run", Stage.PERCEPTION)


def image(path: Path, colour: int, **texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.picture(colour))
    for ending, text in texts.items():
        path.with_suffix(f".{ending}").write_text(text, encoding="utf-8")


def captions(rows: list[data.Row]) -> dict[str, str]:
    return {row.image_path: row.caption for row in rows if isinstance(row, CaptionedImage)}


def test_each_image_is_a_row_with_the_text_beside_it(tmp_path: Path) -> None:
    image(tmp_path / "set/a.png", 1, txt="A cup.\n")
    image(tmp_path / "set/inner/B.PNG", 2, TXT="A box.")
    (tmp_path / "set/README.txt").write_text("not a caption", encoding="utf-8")
    assert captions(captioned(tmp_path / "set")) == {"link/a.png": "A cup.", "link/inner/B.PNG": "A box."}


def test_a_json_beside_an_image_is_reached_into_by_a_dot(tmp_path: Path) -> None:
    image(tmp_path / "set/a.png", 1, json='{"caption": "A cup.", "tags": ["x"]}')
    image(tmp_path / "set/b.png", 2, json='{"captions": ["A box.", "One box."]}', txt="other")
    assert captions(captioned(tmp_path / "set", "json.caption")) == {"link/a.png": "A cup."}
    assert captions(captioned(tmp_path / "set", "json.captions.0")) == {"link/b.png": "A box."}


def test_an_image_without_a_text_that_can_be_read_is_a_verdict_of_its_own(tmp_path: Path) -> None:
    image(tmp_path / "set/a.png", 1, txt="A cup.")
    image(tmp_path / "set/none.png", 2)
    image(tmp_path / "set/wide.png", 3)
    (tmp_path / "set/wide.txt").write_bytes("A box.".encode("utf-16"))
    image(tmp_path / "set/bytes.png", 4)
    (tmp_path / "set/bytes.txt").write_bytes(b"caf\xe9")
    rows = captioned(tmp_path / "set")
    assert len(captions(rows)) == 1
    told = {row.detail for row in rows if isinstance(row, Verdict)}
    assert len(told) == 3
    assert "there is no none.txt beside none.png" in told
    assert any("wide.txt is UTF-16" in detail for detail in told)
    assert any("bytes.txt is not UTF-8" in detail for detail in told)


def test_a_broken_json_beside_an_image_names_its_file(tmp_path: Path) -> None:
    image(tmp_path / "set/a.png", 1, json='{"caption": ')
    image(tmp_path / "set/deep.png", 2, json="[" * 200)
    assert data.reasons(rows := captioned(tmp_path / "set", "json.caption")) == ["malformed_line"] * 2
    assert "a.json is not JSON" in "".join(row.detail for row in rows if isinstance(row, Verdict))


def test_a_dry_run_counts_images(tmp_path: Path) -> None:
    for number in range(3):
        image(tmp_path / f"set/{number}.png", number, txt=f"A cup {number}.")
    section = data.section("captions", tmp_path / "set", files=["*.png"], columns={"caption": "txt"}, limit=2)
    assert counting.rows(section, Stage.PERCEPTION) == 2
