"""Rows that are too long: refused, left out, or made to fit, and each time said, recorded and counted."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from capcurriculum.reasons import Reason
from capcurriculum.rows import Verdict
from capcurriculum.tables import Table
from tests.support.light_preflight import LightLengths
from tests.support.preflight_data import look, picture, rows_of, seeing, settings, write
from training import stage_files
from training.preflight.inspection import LinkData, recorded

pytestmark = pytest.mark.usefixtures("light_preflight")

LIMIT = 120  # tokens: a picture of 320 x 320 pixels takes 100 of them
SMALL, LARGE = picture(64, 64), picture(640, 480)


@pytest.fixture
def files(tmp_path: Path) -> stage_files.StageFiles:
    """Ten rows, of which 2, 5 and 9 are too long, and two for validation, of which the second is."""
    rows = [seeing(number, LARGE if number in (2, 5, 9) else SMALL) for number in range(10)]
    return write(tmp_path, rows, [seeing(20, SMALL), seeing(21, LARGE)])


def ids(files: stage_files.StageFiles) -> list[str]:
    return [row["question_id"] for row in rows_of(files)]


def test_refusing_names_the_rows_and_the_ways_out(tmp_path: Path, files: stage_files.StageFiles) -> None:
    inspection, got = look(tmp_path, files, LIMIT)
    (error,) = inspection.findings.errors()
    assert error.count == 4
    assert "row 2, perception-train-2: " in error.examples[0]
    assert (
        "more than 120 tokens (max_prompt_tokens); raise it, or set training.preflight.overlong to drop or"
        in error.text
    )
    assert got == files
    assert not (tmp_path / "training").exists()


def test_dropping_leaves_the_other_rows_as_they_were(tmp_path: Path, files: stage_files.StageFiles) -> None:
    inspection, got = look(tmp_path, files, LIMIT, overlong="drop")
    assert inspection.findings.errors() == []
    (warning,) = inspection.findings.all()
    assert warning.count == 4
    assert "are left out; 7 training and 1 validation rows remain" in warning.text
    assert got.rows == 7
    assert got.digest != files.digest
    kept = [row for row in rows_of(files) if row["question_id"] not in {f"perception-train-{n}" for n in (2, 5, 9)}]
    assert rows_of(got) == kept
    stage = inspection.stages["perception"]
    assert (stage.rows, stage.val_rows, stage.overlong) == (7, 1, 4)


def test_dropping_is_recorded_in_the_ledgers_form(tmp_path: Path, files: stage_files.StageFiles) -> None:
    look(tmp_path, files, LIMIT, overlong="drop")
    verdicts = list(Table(tmp_path / "training/perception/data/verdicts", Verdict).rows())
    assert [one.question_id for one in verdicts] == [
        *(f"perception-train-{n}" for n in (2, 5, 9)),
        "perception-train-21",
    ]
    assert {(one.filter, one.keep, one.reason, one.stage) for one in verdicts} == {
        ("overlong", False, Reason.PROMPT_TOO_LONG, "perception")
    }
    assert "300 of them for pictures; at most 120" in verdicts[0].detail


def test_downscaling_makes_rows_fit_and_changes_nothing_else(tmp_path: Path, files: stage_files.StageFiles) -> None:
    inspection, got = look(tmp_path, files, LIMIT, overlong="downscale")
    assert inspection.findings.errors() == []
    assert "get smaller pictures" in inspection.findings.all()[0].text
    assert (got.rows, ids(got)) == (10, ids(files))
    lengths = LightLengths(settings(tmp_path, {}))
    for before, after in zip(rows_of(files), rows_of(got), strict=True):
        image = Image.open(BytesIO(after["images"][0]["bytes"]))
        assert lengths.count(after["prompt"], [image.size]).tokens <= LIMIT
        if before["images"][0]["bytes"] == LARGE:
            assert image.format == "JPEG"
            assert abs(image.width / image.height - 4 / 3) < 0.02
            assert lengths.count(after["prompt"], [image.size]).tokens > LIMIT - 15  # by as little as fits
            before["images"] = after["images"]
        assert before == after
    verdicts = list(Table(tmp_path / "training/perception/data/verdicts", Verdict).rows())
    assert {(one.keep, one.reason) for one in verdicts} == {(True, Reason.PICTURES_SMALLER)}
    again, _ = look(tmp_path, got, LIMIT)
    assert again.findings.errors() == []


def test_a_turned_picture_stays_turned(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(0, picture(640, 320, orientation=6))])
    _, got = look(tmp_path, files, LIMIT, overlong="downscale")
    small = Image.open(BytesIO(rows_of(got)[0]["images"][0]["bytes"]))
    assert small.width > small.height
    upright = ImageOps.exif_transpose(small)
    assert upright.height > upright.width


def test_several_pictures_shrink_together(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(0, picture(480, 480), picture(240, 240, "PNG"))])
    _, got = look(tmp_path, files, LIMIT, overlong="downscale")
    first, second = (Image.open(BytesIO(one["bytes"])) for one in rows_of(got)[0]["images"])
    assert (first.format, second.format) == ("JPEG", "PNG")
    assert first.width / second.width == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("least", [1024, 320 * 320])
def test_what_no_smaller_picture_can_mend_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(LightLengths.__init__, "__defaults__", (least, 2**24))
    row = seeing(0, LARGE)
    row["prompt"][1]["content"] += " and so on" * (60 if least == 1024 else 5)
    inspection, got = look(tmp_path, write(tmp_path, [row, seeing(1)]), LIMIT, overlong="downscale")
    (error,) = inspection.findings.errors()
    assert "by their text alone or at the smallest picture the processor allows; raise it, or set" in error.text
    assert [path.parent.name for path in got.train] == ["perception"]


def test_a_second_look_writes_nothing_and_gives_the_same_files(tmp_path: Path, files: stage_files.StageFiles) -> None:
    _, first = look(tmp_path, files, LIMIT, overlong="drop")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "training").rglob("*")}
    _, second = look(tmp_path, files, LIMIT, overlong="drop")
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "training").rglob("*")} == stamps


def test_files_that_were_damaged_are_made_again(tmp_path: Path, files: stage_files.StageFiles) -> None:
    _, first = look(tmp_path, files, LIMIT, overlong="drop")
    before = rows_of(first)
    first.train[0].write_bytes(first.train[0].read_bytes()[:-100])
    _, second = look(tmp_path, files, LIMIT, overlong="drop")
    assert (second, rows_of(second)) == (first, before)


def test_another_limit_makes_another_set(tmp_path: Path, files: stage_files.StageFiles) -> None:
    _, dropped = look(tmp_path, files, LIMIT, overlong="drop")
    _, smaller = look(tmp_path, files, LIMIT, overlong="downscale")
    _, shorter = look(tmp_path, files, LIMIT - 20, overlong="downscale")
    assert len({files.digest, dropped.digest, smaller.digest, shorter.digest}) == 4
    _, untouched = look(tmp_path, files, 1000, overlong="drop")
    assert untouched == files


def test_a_look_that_may_not_write_names_the_same_files(tmp_path: Path, files: stage_files.StageFiles) -> None:
    _, named = look(tmp_path, files, LIMIT, write=False, overlong="drop")
    assert not (tmp_path / "training").exists()
    _, made = look(tmp_path, files, LIMIT, overlong="drop")
    assert named == made


def test_a_set_that_is_not_looked_at_is_read_as_it_was_made(tmp_path: Path, files: stage_files.StageFiles) -> None:
    inspection, made = look(tmp_path, files, LIMIT, overlong="drop")
    keys: dict[str, Any] = {"data.max_prompt_length": LIMIT}
    data = LinkData(files, keys, 16, tmp_path, tmp_path / "training" / "perception")
    assert recorded(data, inspection.section) == made
    other = LinkData(files, keys | {"data.max_prompt_length": LIMIT + 1}, 16, tmp_path, data.folder)
    assert recorded(other, inspection.section) == files
    told = json.loads((data.folder / "data" / "made.json").read_text())
    assert (told["policy"], told["limit"], told["rows"]) == ("drop", LIMIT, 7)


def test_a_validation_set_that_would_be_empty_is_refused(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(0, SMALL)], [seeing(20, LARGE)])
    inspection, _ = look(tmp_path, files, LIMIT, overlong="drop")
    assert "no validation row is short enough" in inspection.findings.errors()[0].text
