"""What sources may cost: memory does not grow with what is refused, and keys raise every bound."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum import recipe
from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import Limits
from capcurriculum.rows import CaptionedImage, Question, Stage
from datagen.sources.formats import archives, columnar, json_documents
from datagen.sources.formats.json_lines import read_lines
from datagen.sources.formats.record import Keys, Reading
from tests.support import source_data as data
from tests.support import worlds

COLUMNS = {"problem": "problem", "answer": "answer"}


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python holds at most while it works."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_over_its_limit_is_never_in_memory_and_the_next_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        file.write('{"a": 1}\n{"a": "')
        for _ in range(60):
            file.write("x" * 1_000_000)
        file.write('"}\n{"a": 3}')
    assert peak(lambda: list(read_lines(path, "s", most=100_000))) < 5_000_000
    found = list(read_lines(path, "s", most=100_000))
    assert [line.number for line in found] == [1, 2, 3]
    assert [bool(line.fault) for line in found] == [False, True, False]
    assert len(found[1].text) <= 100_001


def test_a_line_of_exactly_its_limit_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 12}\r\n{"a": 123}\n\n{"a": 34}\n{"a": 567}')
    found = [(line.number, bool(line.fault)) for line in read_lines(path, "s", most=9)]
    assert found == [(1, False), (2, True), (4, False), (5, True)]


def test_a_row_of_a_document_is_bounded_from_the_row_before_on(tmp_path: Path) -> None:
    rows = [{"problem": "a" * 90_000, "answer": str(number)} for number in range(20)]
    path = data.write_json(tmp_path / "rows.json", rows)
    reading = Reading(Keys("s"), limits=Limits(row_bytes=100_000))
    assert len(list(json_documents.read(path, reading))) == 20  # 1.8 MB in all
    with pytest.raises(SourceError, match=r"row of more than 10,000 bytes .*row_bytes"):
        list(json_documents.read(path, Reading(Keys("s"), limits=Limits(row_bytes=10_000))))


def test_an_archive_over_its_limits_is_taken_once_they_are_raised(tmp_path: Path) -> None:
    path = data.tar(tmp_path / "x.tar.gz", {"a.bmp": bytes(120_000_000), "b.png": data.picture(1)})
    with pytest.raises(SourceError, match="raise ratio, members or unpacked_bytes"):
        list(archives.members(path))
    assert [str(one.name) for one in archives.members(path, Limits(ratio=5_000))] == ["a.bmp", "b.png"]
    with pytest.raises(SourceError, match="more than 1 files"):
        list(archives.members(path, Limits(ratio=5_000, members=1)))


def test_an_archive_of_ordinary_pictures_is_within_all_of_them(tmp_path: Path) -> None:
    path = data.tar(tmp_path / "x.tar.gz", {f"{n}.png": data.picture(n) for n in range(300)})
    assert [one.read(10_000) for one in archives.members(path)] == [data.picture(n) for n in range(300)]


def test_a_compressed_tar_that_was_changed_is_told_though_every_header_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    plain = data.tar(tmp_path / "y.tar.gz", {"a.jpg": data.picture(1, kind="JPEG")})
    found = bytearray(gzip.compress(gzip.decompress(plain.read_bytes()), 0))  # stored: a flip inside stays readable
    found[len(found) // 8] ^= 1
    path.write_bytes(found)
    with pytest.raises(SourceError, match="CRC check failed"):
        list(archives.members(path))


def test_few_rows_are_unpacked_at_once_where_a_column_is_a_dictionary_of_large_values(tmp_path: Path) -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 100), ["a" * 8_000_000])
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": values}), path, compression="zstd", store_schema=False)
    with pq.ParquetFile(path) as file:
        batches = columnar.batches(file, path, 10**12, 64)
        assert [next(batches).num_rows for _ in range(2)] == [31, 31]
        with pytest.raises(SourceError, match="raise group_bytes"):
            for _ in columnar.batches(file, path, 100_000_000, 64):
                pass


def read(tmp_path: Path, rows: list[dict[str, Any]], **keys: Any) -> list[Any]:
    data.write_lines(tmp_path / "rows.jsonl", rows)
    return data.read(data.section("problems", tmp_path, columns=COLUMNS, **keys), tmp_path / "run", Stage.TEXT)


def test_a_long_problem_is_taken_once_its_limit_is_raised(tmp_path: Path) -> None:
    rows = [{"problem": "What is 1 + 1? " * 5_000, "answer": "2"}]
    assert data.reasons(read(tmp_path, rows)) == ["text_too_long"]
    (question,) = read(tmp_path, rows, limits={"problem": 100_000})
    assert isinstance(question, Question)


def test_half_a_character_costs_its_own_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data.picture(1))
    rows = [{"id": i, "image": "a.png", "caption": f"A square, {i!a}."} for i in ("1", "2\ud83d", "3")]
    data.write_lines(tmp_path / "rows.jsonl", rows)
    columns = {"id": "id", "image": "image", "caption": "caption"}
    found = data.read(data.section("captions", tmp_path, columns=columns), tmp_path / "run", Stage.PERCEPTION)
    assert [row.example_id for row in found if isinstance(row, CaptionedImage)] == ["1", "3"]
    assert data.reasons(found) == ["malformed_line"]


def test_limits_may_be_raised_over_a_run_that_asked_models(tmp_path: Path) -> None:
    source = {"kind": "problems", "path": str(tmp_path), "limits": {"problem": 100}}
    before = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1", text={"source": source})
    after = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1", text={"source": source | {"limits": {"line": 10}}})
    assert recipe.differences(before, after) == []
    assert json.dumps(before.model_dump(mode="json")) != json.dumps(after.model_dump(mode="json"))
