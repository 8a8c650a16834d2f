"""Text files as others write them: marks, line ends and encodings neither lose a row nor change one unsaid."""

import io
import json
from pathlib import Path

import pytest

from capcurriculum.errors import SourceError
from capcurriculum.rows import Stage, Verdict
from datagen.sources.formats.encoding import Unmarked
from tests.support import source_data as data

ROWS = [{"problem": f"Combien coûte le café n° {n} ?", "answer": str(n)} for n in (4, 5, 6)]
MARK = "\ufeff"


def text(ending: str, line_end: str = "\n") -> str:
    match ending:
        case ".jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + line_end for row in ROWS)
        case ".json":
            return json.dumps(ROWS, ensure_ascii=False)
        case _:
            comma = "\t" if ending == ".tsv" else ","
            return "".join(comma.join(fields) + line_end for fields in [("problem", "answer"), *map(dict.values, ROWS)])


def read(tmp_path: Path, ending: str, content: bytes) -> list[data.Row]:
    file = tmp_path / f"p/rows{ending}"
    file.parent.mkdir()
    file.write_bytes(content)
    section = data.section(
        "problems", tmp_path / "p", files=[file.name], columns={"problem": "problem", "answer": "answer"}, source="s"
    )
    return data.read(section, tmp_path / "run", Stage.TEXT)


ENDINGS = [".jsonl", ".json", ".csv", ".tsv"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_mark_and_other_line_ends_lose_no_row(tmp_path: Path, ending: str, line_end: str) -> None:
    found = data.questions(read(tmp_path, ending, (MARK + text(ending, line_end)).encode()))
    assert [(row.problem, row.answer) for row in found] == [(row["problem"], row["answer"]) for row in ROWS]


def test_json_lines_in_a_json_file_may_have_a_mark(tmp_path: Path) -> None:
    assert len(data.questions(read(tmp_path, ".json", (MARK + text(".jsonl")).encode()))) == 3


def test_the_release_s_own_layout_may_have_a_mark(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/problems.jsonl").write_text(MARK + text(".jsonl"), encoding="utf-8")
    assert len(data.questions(data.read(data.section("problems", tmp_path / "p"), tmp_path / "run", Stage.TEXT))) == 3


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_said_with_the_mend(tmp_path: Path, ending: str, encoding: str) -> None:
    with pytest.raises(SourceError, match=r"UTF-16 or UTF-32 and has to be UTF-8; .* `iconv -f UTF-16 -t UTF-8 rows"):
        read(tmp_path, ending, text(ending).encode(encoding))


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv"])
def test_rows_of_another_encoding_are_verdicts_and_the_others_are_kept(tmp_path: Path, ending: str) -> None:
    plain = {".jsonl": '{"problem": "Two and two?", "answer": "4"}\n', ".csv": "Two and two?,4\n"}
    rest = plain.get(ending, "Two and two?\t4\n").encode()
    found = read(tmp_path, ending, text(ending).encode("cp1252") + rest)
    assert [row.problem for row in data.questions(found)] == ["Two and two?"]
    verdicts = [row for row in found if isinstance(row, Verdict)]
    assert [row.reason for row in verdicts] == ["malformed_line"] * 3
    assert all("is not UTF-8 (byte 0xfb); if its file is Windows-1252" in row.detail for row in verdicts)


def test_a_broken_byte_in_a_json_array_is_told_apart_from_a_file_cut_off(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is not UTF-8 \(byte 0xfb\).*iconv"):
        read(tmp_path, ".json", text(".json").encode("cp1252"))


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b"\xef\xbb\xbf", b"\xef\xbb\xbf[1, 2]", b"\xef\xbb[1]"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, -1])
def test_a_stream_without_its_mark(content: bytes, size: int) -> None:
    stream, found = Unmarked(io.BytesIO(content)), b""
    assert stream.read(0) == b""
    while part := stream.read(size):
        found += part
    assert found == content.removeprefix(b"\xef\xbb\xbf")


@pytest.mark.parametrize("answer", ["None", "N/A", "nan", " null "])
def test_a_text_for_a_missing_answer_is_no_gold_in_the_own_layout(tmp_path: Path, answer: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/problems.jsonl").write_text(json.dumps({"problem": "Why?", "answer": answer}) + "\n")
    found = data.read(data.section("problems", tmp_path / "p"), tmp_path / "run", Stage.TEXT)
    assert data.reasons(found) == ["missing_field"]


def test_the_sign_of_sodium_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/problems.jsonl").write_text(json.dumps({"problem": "Which sign has sodium?", "answer": "Na"}) + "\n")
    found = data.questions(data.read(data.section("problems", tmp_path / "p"), tmp_path / "run", Stage.TEXT))
    assert [row.answer for row in found] == ["Na"]
