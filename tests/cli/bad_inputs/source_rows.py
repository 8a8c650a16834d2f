"""Rows and data files of sources: what no reader expects to stand in them."""

import io
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cli.bad_inputs.building import CAPTIONS, PROBLEMS, caption, file, problem, row

_LINE = b'{"problem": "What is 1 + 1?", "answer": "2"}\n'
_MALFORMED, _MISSING = "malformed_line", "missing_field"
_HALF = "\ud83d"
_REFUSED = r"cannot be read|not valid|no sound|is not a sound|has no|nested|is damaged|cut off|has to be UTF-8"
#: Values that are no text, and what each is called.
_ODD: dict[str, object] = {
    "null": None, "a list": [1, 2], "nothing in a list": [], "an object": {"x": 1, "y": 2}, "true": True,
    "a deep list": [[[["x"]]], 2],
}  # fmt: skip


def _table(columns: dict[str, Any], **options: Any) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.table(columns), path, **options)


def _parquet(rows: int = 50) -> bytes:
    kept = io.BytesIO()
    pq.write_table(pa.table({"problem": [f"What is {n} + 1?" for n in range(rows)], "answer": ["2"] * rows}), kept)
    return kept.getvalue()


def _flipped(start: float, end: float) -> bytes:
    found = bytearray(_parquet())
    for place in range(int(start * len(found)), int(end * len(found))):
        found[place] ^= 0xA5
    return bytes(found)


def _arrow(stop: int | None = None) -> bytes:
    kept = io.BytesIO()
    table = pa.table({"problem": ["What is 1 + 1?"] * 50, "answer": ["2"] * 50})
    with pa.ipc.new_stream(kept, table.schema) as writer:
        writer.write_table(table)
    return kept.getvalue()[:stop]


def _text(values: list[bytes]) -> pa.Array:
    """Bytes that a file calls text, whether they are or not."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def _repeated(path: Path) -> None:
    """A file of 100 kB, and 40 GB of text."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), ["a" * 40_000_000])
    pq.write_table(pa.table({"problem": values, "answer": ["2"] * 1000}), path, compression="zstd", store_schema=False)


def _thrice(said: bytes) -> bytes:
    return b"[" + b",".join([_LINE.strip()] * 3) + b"," + said


CASES = [
    # rows of JSON lines
    *(row(f"{said!r} of {keys['kind']}", said, _MALFORMED, **keys)
      for keys in (CAPTIONS, PROBLEMS)
      for said in (b"{", b'{"a": ', b"null", b"1", b'"text"', b"NaN", b"{'a': 1}", b"\x01\x02", b"\xc3\x28")),
    row("nested 5,000 deep", b'{"problem": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested more than 100", **PROBLEMS),
    row("a number of 5,000 digits", b'{"problem": "a", "answer": ' + b"1" * 5000 + b"}", _MALFORMED, **PROBLEMS),
    row("an exponent of 10 digits", b'{"problem": "a", "answer": 1e9999999999}', _MISSING, **PROBLEMS),
    row("a line of 6,000,000 characters", {"problem": "a" * 6_000_000}, "longer than 5,000,000", **PROBLEMS),
    row("a short limit", {"problem": "What is 1 + 1?"}, "longer than 10 ", limits={"line": 10}, **PROBLEMS),
    *(caption(f"{what} for a caption", f"{_MISSING}|{_MALFORMED}", caption=value) for what, value in _ODD.items()),
    *(caption(f"{what} for an image", f"{_MISSING}|{_MALFORMED}|several_images|missing_file", image=value)
      for what, value in _ODD.items()),
    *(caption(f"{what} for an id", f"{_MISSING}|{_MALFORMED}", id=value) for what, value in _ODD.items()),
    *(problem(f"{what} for a problem", f"{_MISSING}|{_MALFORMED}", problem=value) for what, value in _ODD.items()),
    *(problem(f"{what} for an answer", f"{_MISSING}|{_MALFORMED}|ungradable|contradicting|lost all", answer=value)
      for what, value in _ODD.items() if what != "true"),
    caption("half a character in an id", "half a character .* in its example id", id=f"1{_HALF}"),
    caption("half a character in an image's name", "missing_file", image=f"{_HALF}.png"),
    caption("half a character in a picture", "unreadable_image|missing_file", image=f"data:image/png;base64,{_HALF}"),
    caption("a caption of 30,000 characters", "text_too_long .*30,000 characters.*caption in the source's limits",
            caption="word " * 6000),
    problem("a problem of 60,000 characters", "text_too_long .*more than 50,000", problem="word " * 12_000),
    problem("an answer of 60,000 characters", "text_too_long .*more than 50,000", answer="2 " * 30_000),
    caption("no caption", "empty_caption", caption=" "),
    *(caption(f"the image {name[:20]!r}", says, image=name) for name, says in (
        ("../../etc/passwd", "path_escapes|missing_file"), ("/etc/passwd", "missing_file"), (".", "missing_file"),
        ("a\x00.png", "missing_file"), ("x" * 5000, "missing_file"), ("http://127.0.0.1/x.png", "missing_file"),
        ("data:image/png;base64,%%%", "unreadable_image"), ("data:,", "unreadable_image"),
        ("\x1b[2J", "missing_file"))),
    caption("bytes that are no base64", "unreadable_image", image={"bytes": "!" * 100}),
    # files
    file("nothing in: rows.jsonl", b"", "has no rows at all"),
    file("blank lines alone in: rows.jsonl", b"\n\n \n", "has no rows at all"),
    file("a mark alone in: rows.jsonl", b"\xef\xbb\xbf", "has no rows at all"),
    file("UTF-16 in: rows.jsonl", _LINE.decode().encode("utf-16"), "has to be UTF-8"),
    file("a pointer of Git LFS in: rows.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
    file("an unknown ending: rows.xlsx", b"PK", "has no"),
    file("a folder called: rows.jsonl", lambda path: path.mkdir(), "has no"),
    file("a pipe called: rows.jsonl", lambda path: os.mkfifo(path), "has no"),
    file("a link to itself called: rows.jsonl", lambda path: path.symlink_to("rows.jsonl"), "has no"),
    file("nothing in: rows.json", b"", "has no|not valid"),
    file("a cut array in: rows.json", _thrice(b'{"problem": "a'), "take its 3 whole rows with incomplete: keep"),
    file("nested 5,000 deep in: rows.json", _thrice(b"[" * 5000), "nested more than 100 deep"),
    file("a number of 5,000 digits in: rows.json", _thrice(b'{"problem": ' + b"7" * 5000 + b"}]"), _REFUSED),
    file("a large exponent in: rows.json", b'[{"problem": 1e' + b"9" * 30 + b"}]", "has no column 'answer'"),
    file("a row over its limit in: rows.json", _thrice(b'{"problem": "' + b"a" * 300_000 + b'"}]'),
         "has a row of more than 1,000 bytes.*row_bytes", **PROBLEMS, limits={"row_bytes": 1000}),
    file("an object of numbers in: rows.json", b'{"a": 1, "b": 2}', "no arrays of rows"),
    file("two arrays in: rows.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "give a file that is an array"),
    file("bytes that are no text in: rows.json", _thrice(b'{"problem": "\xff\xfe"}]'), "is not UTF-8"),
    file("nothing in: rows.csv", b"", "has no"),
    file("a header alone in: rows.csv", b"problem,answer\n", "has no"),
    file("a header with a stray quote in: rows.csv", b'"problem,answer\na,2\n', "has a quote|has no"),
    file("a column twice in: rows.csv", b"problem,problem,answer\na,b,2\n", "2 times"),
    file("fields too many in: rows.csv", b"problem,answer\na,2,3\n", _MALFORMED),
    file("zero bytes in: rows.csv", b"problem,answer\n\x00,\x00\n", "lost all|has no|UTF"),
    file("bytes that are no text in: rows.csv", b"problem,answer\n\xff,2\n", "is not UTF-8"),
    file("nothing in: rows.parquet", b"", _REFUSED),
    file("text in: rows.parquet", _LINE * 20, _REFUSED),
    *(file(f"cut at {share:.0%}: rows.parquet", _parquet()[: int(share * len(_parquet()))], _REFUSED)
      for share in (0.1, 0.5, 0.9, 0.99)),
    *(file(f"damaged at {start:.0%}: rows.parquet", _flipped(start, start + 0.15), _REFUSED + "|lost all")
      for start in (0.02, 0.2, 0.6, 0.8)),
    file("no rows in: rows.parquet", _table({name: pa.array([], pa.string()) for name in ("problem", "answer")}),
         "has no rows at all"),
    file("no such column in: rows.parquet", _table({"x": [1]}), "has no column 'problem'"),
    file("text that is none in: rows.parquet", _table({"problem": _text([b"\xff\xfe"]), "answer": _text([b"2"])}),
         "holds a value that cannot be read"),
    file("a year 60,000 in: rows.parquet", _table({"problem": ["a"], "answer": pa.array([2**61], pa.timestamp("us"))}),
         "holds a value that cannot be read"),
    file("a date for an answer in: rows.parquet", _table({"problem": ["a"], "answer": [datetime(2020, 1, 1)]}),  # noqa: DTZ001
         f"{_MISSING}|{_MALFORMED}"),
    file("the same 40 MB in each of 1,000 rows of: rows.parquet", _repeated, "unpacks to .* raise group_bytes"),
    file("300 MB of one letter in: rows.parquet",
         _table({"problem": ["a" * 10**8] * 3, "answer": ["2"] * 3}, use_dictionary=False, compression="zstd"),
         "unpacks to .* raise group_bytes", **PROBLEMS, limits={"group_bytes": 10**8}),
    file("nothing in: rows.arrow", b"", _REFUSED),
    file("text in: rows.arrow", _LINE, _REFUSED),
    *(file(f"cut at {stop}: rows.arrow", _arrow(stop), _REFUSED) for stop in (4, 100, 400, 900)),
]  # fmt: skip
