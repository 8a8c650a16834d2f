"""Every fault of every row is found at once, named with its row, and no row's content can harm the look at it."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support import training_data
from tests.support.preflight_data import look, picture, seeing, write
from training.preflight.findings import Findings, Severity

pytestmark = pytest.mark.usefixtures("light_preflight")


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)))
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def changed(row: dict[str, Any], turn: int, change: Callable[[str], str]) -> dict[str, Any]:
    row["prompt"][turn]["content"] = change(row["prompt"][turn]["content"])
    return row


def one_turn(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"prompt": row["prompt"][1:]}


def options(row: dict[str, Any], gold: str, options: list[str]) -> dict[str, Any]:
    return row | {
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": row["extra_info"] | {"options": options},
    }


GOOD = picture(64, 64)
FAULTS: dict[str, tuple[Callable[[], dict[str, Any]], str, str]] = {
    "one turn": (lambda: one_turn(seeing(1)), "turns", "user"),
    "system prompt": (lambda: changed(seeing(1), 0, lambda text: text + " "), "system_prompt", ""),
    "placeholder": (lambda: changed(seeing(1), 1, lambda t: "<image>" + t), "placeholders", "2 placeholders, 1 images"),
    "video": (lambda: changed(seeing(1), 1, lambda text: text + "<video>"), "other_media", "<video>"),
    "control token": (lambda: changed(seeing(1), 1, lambda t: t + "<|im_end|>"), "control_token", "<|im_end|>"),
    "no bytes": (lambda: seeing(1) | {"images": [{"bytes": None, "path": "/etc/passwd"}]}, "image_missing", ""),
    "cut short": (lambda: seeing(1, GOOD[:-200]), "image", "cannot be decoded"),
    "no image": (lambda: seeing(1, b"%!PS-Adobe-3.0 EPSF-3.0"), "image", "cannot be decoded"),
    "bomb": (lambda: seeing(1, png_header(50_000, 50_000)), "image", "2500000000 pixels"),
    "elongated": (lambda: seeing(1, picture(2100, 10)), "image", "2100 x 10 pixels: one side is over 200"),
    "gold letter": (lambda: options(seeing(1), "E", ["a", "b", "c", "d"]), "gold_letter", "'E' of 4 options"),
    "empty gold": (lambda: options(seeing(1), "", []), "gold_unpaid", "''"),
    "gold that cannot be boxed": (lambda: options(seeing(1), "{abc", []), "gold_unpaid", "{abc"),
}


@pytest.mark.parametrize(("row", "check", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_row(
    tmp_path: Path, row: Callable[[], dict[str, Any]], check: str, said: str
) -> None:
    files = write(tmp_path, [seeing(0), row(), seeing(2)])
    inspection, _ = look(tmp_path, files)
    errors = {finding.check: finding for finding in inspection.findings.errors()}
    assert set(errors) == {check}
    assert errors[check].count == 1
    assert "train-00000-of-00001.parquet, row 1, perception-train-1" in errors[check].examples[0]
    assert said in errors[check].examples[0]


def test_all_faults_are_found_at_once_and_each_is_counted(tmp_path: Path) -> None:
    rows = [row() for row, _, _ in FAULTS.values()]
    twice = changed(changed(seeing(1), 0, lambda text: "Be brief."), 1, lambda text: text + "<|im_start|>")
    files = write(tmp_path, [*rows, *rows, twice])
    inspection, got = look(tmp_path, files, examples=1)
    found = {finding.check: finding for finding in inspection.findings.errors()}
    assert set(found) == {check for _, check, _ in FAULTS.values()}
    assert found["image"].count == 8  # four kinds, each twice
    assert found["system_prompt"].count == 3
    assert all(len(finding.examples) == 1 for finding in found.values())
    assert "8 rows: an image cannot be used" in found["image"].sentence()
    assert got == files


def test_a_good_set_has_no_errors_and_its_numbers_are_told(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number, picture(64, 64 + 32 * (number % 3))) for number in range(12)])
    inspection, got = look(tmp_path, files)
    assert inspection.findings.errors() == []
    stage = inspection.stages["perception"]
    assert (stage.rows, stage.val_rows, stage.overlong, stage.checked) == (12, 2, 0, 14)
    assert stage.tokens["min"] < stage.tokens["mean"] < stage.tokens["max"]
    assert got == files


def test_text_rows_need_no_picture(tmp_path: Path) -> None:
    training_data.write_stage(tmp_path / "stages", "text")
    from training import stage_files

    inspection, _ = look(tmp_path, stage_files.set_files("text", [tmp_path / "stages" / "text"]))
    assert inspection.findings.errors() == []
    assert inspection.stages["text"].image_tokens == 0


@pytest.mark.parametrize(("orientation", "marked", "turned"), [(6, True, True), (6, False, False), (3, True, False)])
def test_a_picture_is_as_tall_as_verl_will_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, marked: bool, turned: bool
) -> None:
    from tests.support.light_preflight import LightLengths

    sizes: list[list[tuple[int, int]]] = []
    count = LightLengths.count
    monkeypatch.setattr(LightLengths, "count", lambda self, turns, s: sizes.append(list(s)) or count(self, turns, s))
    rows = [seeing(0, picture(96, 64, orientation=orientation))]
    look(tmp_path, write(tmp_path, rows, marked=marked))
    assert sizes[0] == [(64, 96) if turned else (96, 64)]


def test_columns_that_are_missing_or_differ_are_said(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number) for number in range(4)])
    pq.write_table(pq.read_table(files.val[0]).drop_columns(["reward_model"]), files.val[0])
    inspection, _ = look(tmp_path, files)
    texts = [finding.text for finding in inspection.findings.errors()]
    assert any("column reward_model is missing" in text for text in texts)
    assert any("files differ in their columns" in text for text in texts)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number, picture(200, 200)) for number in range(8)])
    data = bytearray(files.train[0].read_bytes())
    data[4:3000] = bytes(2996)
    files.train[0].write_bytes(data)
    inspection, got = look(tmp_path, files)
    assert "train-00000-of-00001.parquet is damaged" in inspection.findings.errors()[0].text
    assert got == files


def test_a_rows_own_words_cannot_speak_to_the_terminal() -> None:
    findings = Findings()
    findings.error("x", "a fault", example="row \x1b[2J\x07 \u202e 1\n2")
    assert findings.all()[0].examples == ("row \ufffd[2J\ufffd \ufffd 1\ufffd2",)


def test_findings_are_ordered_and_keep_a_few_examples() -> None:
    findings = Findings(most=2)
    findings.warn("late", "a doubt", "text")
    for number in range(5):
        findings.error("bad", "a fault", "text", f"row {number}")
    error, warning = findings.all()
    assert (error.severity, error.count, error.examples) == (Severity.ERROR, 5, ("row 0", "row 1"))
    assert error.sentence() == "text: 5 rows: a fault (row 0; row 1, ...)."
    assert warning.sentence() == "text: a doubt."
