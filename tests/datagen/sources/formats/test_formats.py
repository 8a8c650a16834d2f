"""The formats of source files: stray quotes, other delimiters, forms of JSON, Arrow files, pointers, deep values."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from capcurriculum.errors import SourceError
from capcurriculum.files import json_file
from capcurriculum.reasons import Reason
from capcurriculum.rows import Stage, Verdict
from datagen import image_decoding
from datagen.sources.formats import csv_tables
from datagen.sources.formats.record import Keys, Reading, Record
from datagen.sources.formats.records import find_files, read_files
from tests.support import source_data as data

ROWS: list[dict[str, Any]] = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(1, 5)]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
COLUMNS = {"problem": "question", "answer": "answer"}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def records(path: Path, keep: bool = False) -> list[Record]:
    return list(read_files([path], Reading(Keys("s"), ("question", "answer"), keep=keep)))


def read(folder: Path, name: str, content: str | bytes, **keys: Any) -> list[data.Row]:
    """What a build reads; a dry run has to count as many."""
    written(folder, name, content)
    section = data.section("problems", folder / "set", source="s", columns=COLUMNS, files=[f"**/{name}"], **keys)
    return data.read(section, folder / "run", Stage.TEXT)


def golds(rows: list[data.Row]) -> list[str]:
    return [row.answer for row in data.questions(rows)]


def details(rows: list[data.Row]) -> str:
    return "; ".join(row.detail for row in rows if isinstance(row, Verdict))


def lines(delimiter: str, count: int, start: int = 0) -> str:
    return "".join(f"What is {n} + 2?{delimiter}{n + 2}\n" for n in range(start, start + count))


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t")])
@pytest.mark.parametrize("end", ["", 'Fine?{}"3"\n', 'The "end" of it?{}3\n'], ids=["never closed", "cell", "inside"])
def test_a_stray_quote_costs_its_own_row_alone(tmp_path: Path, name: str, delimiter: str, end: str) -> None:
    head = f"question{delimiter}answer\n{lines(delimiter, 2)}"
    stray = f'"Hello, said he{delimiter}5\n{lines(delimiter, 10, 2)}{end.format(delimiter)}'
    rows = read(tmp_path, name, head + stray)
    assert golds(rows) == [str(n + 2) for n in range(12)] + (["3"] if end else [])
    assert data.reasons(rows) == ["malformed_line"]
    assert f"row 3 has a quote that is opened and swallows the {11 if end else 10} lines after it" in details(rows)


def test_a_stray_quote_with_a_stray_one_at_the_end_of_a_cell(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", f'question,answer\n"Oh no,5\n{lines(",", 3)}Q6?",9\nQ7?,10\n')
    assert golds(rows) == ["2", "3", "4", "9", "10"]
    assert "swallows the 4 lines" in details(rows)


def test_two_rows_of_a_tsv_are_not_glued(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.tsv", 'question\tanswer\n"Hello, said he\t5\nWhat is "7"?\t7\nQ?\t8\n')
    assert (golds(rows), data.reasons(rows)) == (["7", "8"], ["malformed_line"])


def test_quotes_that_glue_fields_are_told_from_quotes_in_a_text(tmp_path: Path) -> None:
    glued = 'question,a,answer\n"Oh no,x,"1, 2",5\n'
    (record,) = records(written(tmp_path, "a.csv", glued))
    assert record.problem is not None
    assert "opened in one field and closed in another" in record.problem.detail
    texts = 'question,answer\n"Oh" he said,1\nIt is 5" long,2\n"Well, ""so""",3\nThe "end" of it,4\n'
    assert golds(read(tmp_path, "b.csv", texts)) == ["1", "2", "3", "4"]


def test_rows_are_told_by_the_number_of_quotes(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", 'question,answer\n"Oh no,5\nQ3?,", 6"\nQ4?,7\n')
    assert (golds(rows)[-1:], data.reasons(rows)[:1]) == (["7"], ["malformed_line"])
    assert "swallows the line after it" in details(rows)


def test_a_last_row_that_is_cut_inside_of_a_cell_is_no_row(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", 'question,answer\nQ1?,4\nQ2?,"It is 1')
    assert golds(rows) == ["4"]
    assert "row 2 has a quote that is opened and never closed" in details(rows)
    cut = read(tmp_path, "b.csv", 'question,answer\nQ1?,4\n"A long question\nof lines\nthat are no rows')
    assert (golds(cut), data.reasons(cut)) == (["4"], ["malformed_line"])


def test_a_header_whose_quote_is_never_closed_is_no_empty_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"header of .* never closed"):
        read(tmp_path, "a.csv", '"question,answer\nQ1?,4\n')


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize(
    "text",
    [
        "one line, two fields\nand another, of two\nand a third, also\nand, so on\nthe end",
        'He said "hi", loudly\nand "left", quickly\nfor, good',
        "a, b\nc, d",
        "windows, too\r\nhas, lines\r\n\r\nand, gaps",
    ],
)
@pytest.mark.parametrize("both", [False, True])
def test_cells_of_several_lines_stay_one_row(tmp_path: Path, delimiter: str, text: str, both: bool) -> None:
    rows = [["1", text, "QUJD" * 50, text if both else "4"], ["2", text, "QUJD" * 50, "5"]]
    handle = io.StringIO(newline="")
    csv.writer(handle, delimiter=delimiter).writerows([["index", "question", "image", "answer"], *rows])
    found = records(written(tmp_path, "a.tsv" if delimiter == "\t" else "a.csv", handle.getvalue()))
    assert [record.problem for record in found] == [None, None]
    assert [list(record.values.values()) for record in found] == rows


def test_a_row_of_two_columns_of_several_lines_stays_one_row(tmp_path: Path) -> None:
    text = "question,answer\n" + '"roses, red\nviolets, blue\nsugar, sweet\nand, so on\nare you","yes\nno"\n'
    (record,) = records(written(tmp_path, "a.csv", text))
    assert (record.problem, record.values["answer"]) == (None, "yes\nno")
    (record,) = records(written(tmp_path, "b.tsv", 'question\tanswer\n"l1\nl2"\t"a1\na2"\n'))
    assert (record.problem, record.values["answer"]) == (None, "a1\na2")


def test_a_quote_that_never_closes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "MAX_LINES", 50)
    rows = list(csv_tables.rows(iter(["a,b\n", '"x,1\n', *["loose text\n"] * 120]), ","))
    assert len(rows) == 122
    assert "swallows the 49 lines" in rows[1].problem
    monkeypatch.setattr(csv_tables, "MAX_CHARS", 500)
    assert len(list(csv_tables.rows(iter(["a,b\n", '"x,1\n', *["y" * 100 + "\n"] * 20]), ","))) == 22


def test_bars_part_columns_and_names_have_no_blanks(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.csv", "question| number| answer\nQ1?| 0| 4\nQ2?| 1| 5\n")
    assert golds(rows) == ["4", "5"]
    named = written(tmp_path, "b.csv", "question, \ufeffanswer\nQ1?,4\n")
    assert dict(records(named)[0].values) == {"question": "Q1?", "answer": "4"}
    asked = Reading(Keys("s"), (" answer",))
    path = written(tmp_path, "c.csv", "question| answer\nQ1?| 4\n")
    assert next(read_files([path], asked)).values[" answer"] == " 4"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.arrow"])
def test_a_pointer_of_git_lfs_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"Git LFS pointer .* `git lfs pull`"):
        read(tmp_path, name, POINTER)


def test_a_picture_and_an_archive_that_are_pointers_are_said(tmp_path: Path) -> None:
    with (
        pytest.raises(image_decoding.ImageProblem, match="Git LFS pointer") as problem,
        image_decoding.opened(POINTER.encode(), 1000),
    ):
        pass
    assert problem.value.reason is Reason.UNREADABLE_IMAGE
    data.write_lines(tmp_path / "set/rows.jsonl", [row | {"image": "a.png"} for row in ROWS])
    written(tmp_path, "images.zip", POINTER)
    section = data.section("problems", tmp_path / "set", source="s", columns=COLUMNS, images="images.zip")
    with pytest.raises(SourceError, match="Git LFS pointer"):
        data.read(section, tmp_path / "run")


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream], ids=["file", "stream"])
def test_arrow_files_and_streams_are_read(tmp_path: Path, new: Any) -> None:
    table = pa.Table.from_pylist(ROWS)
    table = table.set_column(1, "answer", table["answer"].dictionary_encode())
    sink = io.BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    assert golds(read(tmp_path, "a.arrow", sink.getvalue())) == ["2", "4", "6", "8"]


PRETTY = "\n".join(json.dumps(row, indent=2) for row in ROWS)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        PRETTY,
        "\ufeff" + PRETTY + "\n",
        json.dumps(ROWS[0], indent=1) + "".join("\n" + json.dumps(row) for row in ROWS[1:]),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        "[" + "\n,".join(map(json.dumps, ROWS)) + "]",
        "\n".join(map(json.dumps, ROWS)),
    ],
    ids=["jq", "jq, mark", "mixed", "array", "indented", "a row a line", "commas first", "lines"],
)
def test_json_is_read_under_either_ending(tmp_path: Path, name: str, content: str) -> None:
    rows = read(tmp_path, name, content)
    assert (golds(rows), data.reasons(rows)) == (["2", "4", "6", "8"], [])
    keys = [record.key for record in records(tmp_path / "set" / name)]
    assert keys == [record.key for record in records(data.write_lines(tmp_path / "plain.jsonl", ROWS))]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_an_array_a_line_is_a_conversation_a_line(tmp_path: Path, name: str) -> None:
    turns = [[{"value": "1 + 1?"}, {"value": "2"}], [{"value": "1 + 2?"}, {"value": "3"}]]
    text = "\n".join(map(json.dumps, turns))
    reading = Reading(Keys("s"), ("conversation.0.value",))
    found = list(read_files([written(tmp_path, name, text)], reading))
    assert [record.get("conversation.1.value") for record in found] == ["2", "3"]
    cut = text.replace(json.dumps(turns[0]), json.dumps(turns[0])[:20])
    found = list(read_files([written(tmp_path, name, cut)], reading))
    assert [record.problem is None for record in found] == [False, True]


def test_an_array_among_lines_of_objects_is_no_row(tmp_path: Path) -> None:
    rows = read(tmp_path, "a.jsonl", "\n".join(map(json.dumps, [ROWS[0], [1, 2], *ROWS[1:]])))
    assert (golds(rows), data.reasons(rows)) == (["2", "4", "6", "8"], ["malformed_line"])


@pytest.mark.parametrize("bad", ["oops", '{"question": "cut', '{"question": "a",', "[", "{", '[{"question": 1}', "}"])
def test_a_bad_first_line_of_json_lines_is_one_verdict(tmp_path: Path, bad: str) -> None:
    rows = read(tmp_path, "a.jsonl", "\n".join([bad, *map(json.dumps, ROWS)]))
    assert (golds(rows), len(data.reasons(rows))) == (["2", "4", "6", "8"], 1)


def test_objects_in_a_row_of_which_one_breaks_give_the_first(tmp_path: Path) -> None:
    broken = PRETTY.replace('"6"', "")
    with pytest.raises(SourceError, match=r"after row 2.*take its 2 whole rows"):
        read(tmp_path, "a.json", broken)
    rows = read(tmp_path, "a.json", broken, incomplete="keep")
    assert (golds(rows), data.reasons(rows)) == (["2", "4"], ["incomplete_file"])


def test_bytes_of_a_document_that_are_not_utf_8_are_said(tmp_path: Path) -> None:
    content = '[{"question": "Größe?", "answer": "1"}]'.encode("cp1252")
    with pytest.raises(SourceError, match=r"is not UTF-8 .byte 0xf6.* `iconv -f CP1252 -t UTF-8`"):
        read(tmp_path, "a.json", content)


def test_a_table_with_its_columns_apart_is_said(tmp_path: Path) -> None:
    table: dict[str, Any] = {"columns": ["question", "answer"], "index": [0], "data": [["Q1?", "4"]]}
    with pytest.raises(SourceError, match=r"orient='split'.*orient='records', lines=True"):
        read(tmp_path, "a.json", json.dumps(table))
    assert golds(read(tmp_path, "b.json", json.dumps({"columns": ["question"], "data": ROWS}))) == ["2", "4", "6", "8"]


@pytest.mark.parametrize("value", ["[" * 101 + "]" * 101, '{"a":' * 100_000 + "1" + "}" * 100_000])
@pytest.mark.parametrize("document", ['[{{"question": "a", "answer": {}}}]', '{{"question": "a", "answer": {}}}'])
def test_a_value_nested_too_deep_costs_nothing(tmp_path: Path, value: str, document: str) -> None:
    text = document.format(value)
    with pytest.raises(SourceError, match="nested more than 100 deep"):
        read(tmp_path, "a.json", text)
    rows = read(tmp_path, "a.jsonl", "\n".join([text.strip("[]"), *map(json.dumps, ROWS)]))
    assert golds(rows) == ["2", "4", "6", "8"]
    assert "line 1 is nested more than 100 deep" in details(rows)


def test_brackets_inside_texts_are_no_depth() -> None:
    text = json.dumps([{"a": "[" * 300, "b": '\\"[{' * 200, "c": "\\"}, {"d": "{" * 300}] * 3)
    for size in (1, 2, 7, 64, 5_000):
        stream = json_file.Shallow(io.BytesIO(text.encode()), 10**6)
        assert b"".join(iter(lambda: stream.read(size), b"")) == text.encode()  # noqa: B023
    json_file.check_depth(text)
    deep = json_file.Shallow(io.BytesIO(text.encode()[:-1] + b"," + b"[" * 100), 10**6)
    with pytest.raises(json_file.TooDeep):
        list(iter(lambda: deep.read(16), b""))


def test_what_macos_leaves_behind_is_no_data(tmp_path: Path) -> None:
    written(tmp_path, "._rows.jsonl", b"\x00\x05\x16\x07")
    written(tmp_path, "__MACOSX/rows.jsonl", b"\x00\x05\x16\x07")
    assert golds(read(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, ROWS)))) == ["2", "4", "6", "8"]
    assert [p.name for p in find_files(tmp_path / "set", ["**/*.jsonl"], "rows")] == ["rows.jsonl"]
