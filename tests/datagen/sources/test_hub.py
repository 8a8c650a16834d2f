"""Data sets of the Hub, read by the recipe's columns: which files, which rows, and what a hostile one may cost."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum.errors import SourceError
from datagen.sources import hub
from datagen.sources.formats.record import Keys, Reading, Record
from tests.support import hub_runs
from tests.support import source_data as data
from tests.support.hub_server import Served, serving

REPO = "somebody/set"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving(tmp_path / "server") as found:
        hub_runs.connect(monkeypatch, found, tmp_path / "home")
        yield found


def read(served: Served, files: dict[str, bytes], *splits: str, **words: Any) -> list[Record]:
    """The rows of a data set of these files, of `train` unless told otherwise."""
    revision = served.hub.put(REPO, files)
    section = data.section("captions", repo=REPO, revision=revision, columns={}, source="s", **words)
    return list(hub.rows(section, Reading.of(section, "s", ("caption",)), splits or ("train",)))


def parquet(rows: dict[str, Any], **words: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(rows), file, **words)
    return file.getvalue()


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def captions(records: list[Record]) -> list[object]:
    return [record.get("caption") for record in records]


def test_the_rows_of_a_split_come_with_their_pictures_as_files(served: Served) -> None:
    pictures = [{"bytes": data.picture(n), "path": f"{n}.png"} for n in range(3)]
    files = {
        "data/train-00000-of-00002.parquet": parquet({"image": pictures[:2], "caption": ["a", "b"]}),
        "data/train-00001-of-00002.parquet": parquet({"image": pictures[2:], "caption": ["c"]}),
        "data/test-00000-of-00001.parquet": parquet({"image": pictures[:1], "caption": ["d"]}),
    }
    records = read(served, files, "train", "test")
    assert captions(records) == ["a", "b", "c", "d"]
    assert [record.get("(split)") for record in records] == ["train"] * 3 + ["test"]
    assert [dict(record.get("image"))["bytes"] for record in records[:3]] == [data.picture(n) for n in range(3)]  # type: ignore[call-overload]
    # What a run that was begun when `datasets` still read the rows calls them.
    first = {"image": pictures[0], "caption": "a", "(split)": "train"}
    assert records[0].key == Keys("s").record(1, first).key


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.jsonl", lines({"caption": "a"}, {"caption": "b"})),
        ("train.json", json.dumps([{"caption": "a"}, {"caption": "b"}]).encode()),
        ("train.csv", b"caption,more\na,1\nb,2\n"),
    ],
)
def test_texts_are_read_as_those_on_disk(served: Served, name: str, content: bytes) -> None:
    assert captions(read(served, {name: content})) == ["a", "b"]


def test_a_card_tells_which_files_are_of_a_split(served: Served) -> None:
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: good\n    path: one/*.jsonl\n---\n"
    files = {"README.md": card, "one/x.jsonl": lines({"caption": "a"}), "two/x.jsonl": lines({"caption": "b"})}
    assert captions(read(served, files, "good")) == ["a"]


def test_a_file_is_not_fetched_before_its_rows_are_wanted(served: Served) -> None:
    files = {f"train-0000{n}-of-00002.jsonl": lines({"caption": str(n)}) for n in range(2)}
    section = data.section("captions", repo=REPO, revision=served.hub.put(REPO, files), columns={}, source="s")
    rows = hub.rows(section, Reading.of(section, "s"), ("train",))
    assert next(rows).get("caption") == "0"
    assert served.asked("train-00000")
    assert not served.asked("resolve.*train-00001")
    assert captions(list(rows)) == ["1"]


def hostile_parquet() -> bytes:
    """One value of 4 MB, two hundred times, in a file of a few kilobytes."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array(["x" * 4_000_000]))
    return parquet({"caption": column}, compression="zstd", use_dictionary=True, store_schema=False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "train.parquet",
            hostile_parquet(),
            r"row group 0 of .* unpacks to .*raise group_bytes in the source's limits",
        ),
        ("train.json", b'[{"caption": "' + b"x" * 3_000_000 + b'"}]', r"a row of more than 2,000,000 bytes"),
        ("train.parquet", b"PAR1 but no more", "not a sound Parquet file"),
        ("train.jsonl", lines({"text": "a"}), "no column 'caption'; it has"),
    ],
)
def test_a_file_over_a_limit_is_one_sentence(served: Served, name: str, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read(served, {name: content}, limits={"row_bytes": 2_000_000, "group_bytes": 50_000_000})


def test_a_line_over_its_limit_costs_its_own_row(served: Served) -> None:
    content = lines({"caption": "a"}, {"caption": "x" * 3_000_000}, {"caption": "c"})
    records = read(served, {"train.jsonl": content}, limits={"line": 1_000_000})
    assert [str(r.problem.reason) if r.problem else r.get("caption") for r in records] == ["a", "malformed_line", "c"]


ELSEWHERE = b"---\nconfigs:\n- config_name: default\n  data_files: http://127.0.0.1:9/train.jsonl\n---\n"


@pytest.mark.parametrize(
    ("files", "splits", "said"),
    [
        ({"train.jsonl": lines({"caption": "a"})}, ("validation",), "it has no split 'validation', but train"),
        (
            {"train-00000.tar": b"no rows"},
            ("train",),
            r"train-00000.tar.*what is read from the Hub is .jsonl.*give its",
        ),
        ({"train.jsonl.gz": b"no rows"}, ("train",), r"train.jsonl.gz.*what is read from the Hub is .jsonl"),
        ({"set.py": b"raise SystemExit(1)", "README.md": b""}, ("train",), "scripts are no longer supported"),
        ({"README.md": ELSEWHERE, "train.jsonl": lines({"caption": "a"})}, ("train",), ""),
    ],
)
def test_what_is_not_read_is_one_sentence(
    served: Served, files: dict[str, bytes], splits: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SourceError, match=f"(?s){re.escape(REPO)} at [0-9a-f]{{12}} cannot be read.*{said}") as told:
        read(served, files, *splits)
    assert "\n" not in str(told.value)
