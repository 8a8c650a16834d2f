"""Contamination: benchmark questions and pictures are found by hashes alone, and hostile files are refused."""

import base64
import csv
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum import cli
from capcurriculum.errors import SourceError
from capcurriculum.recipe_corpus_filters import ContaminationSection
from capcurriculum.rows import Verdict
from filters import contamination, picture_hashes
from filters.signatures import build, file, layouts
from tests.pictures import jpeg, noise, png

LETTER = "Please answer directly with only the letter of the correct option and nothing else."
NAMES = ("Amina", "Bruno", "Chen", "Divya", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun")
STORY = "{0} walked slowly along the harbour wall carrying {1} lanterns and a wicker basket full of silver {0} fish"


def asked(number: int) -> str:
    """A benchmark's question, with words that no other of them has."""
    return STORY.format(NAMES[number], number + 3) + f"\n{LETTER}"


def tsv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def benchmark(folder: Path, **changes: object) -> Path:
    """Ten questions about ten pictures, in VLMEvalKit's layout; the last row has the picture of the first."""
    rows: list[dict[str, object]] = [
        {"index": n, "image": base64.b64encode(png(noise(n))).decode(), "question": asked(n), "A": "1", "answer": "A"}
        for n in range(10)
    ]
    rows.append({"index": 10, "image": "0", "question": "What is the tenth lantern?", "A": "1", "answer": "A"})
    rows[0] |= changes
    return tsv(folder / "bench.tsv", rows)


def signature(folder: Path, name: str = "Harbour") -> Path:
    made = build.build(build.Wanted(benchmark(folder), name, layouts.named("vlmevalkit")))
    path = folder / f"{name}.parquet"
    file.save(made, path)
    return path


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signature(tmp_path_factory.mktemp("harbour"))


def questions(*rows: tuple[str, str, str]) -> pl.LazyFrame:
    """Of id, text and image."""
    data = [
        {"question_id": q, "stage": "visual" if i else "text", "text": "", "problem": t, "image_id": i}
        for q, t, i in rows
    ]
    return pl.LazyFrame(data)


def judged(
    path: Path, *rows: tuple[str, str, str], hashes: dict[str, int | None] | None = None, **changes: Any
) -> dict[str, Verdict]:
    known = [(image_id, value) for image_id, value in (hashes or {}).items() if value is not None]
    frame = pl.LazyFrame(known, schema={"image_id": pl.String, "phash": pl.UInt64}, orient="row")
    section = ContaminationSection(signatures=(str(path),), **changes)
    said = list(contamination.verdicts(questions(*rows), section, frame))
    assert [v.question_id for v in said] == [row[0] for row in rows]
    return {v.question_id: v for v in said}


def test_a_question_taken_from_a_benchmark_is_named_with_how_much_matched(harbour: Path) -> None:
    taken = "Yesterday, " + STORY.format("emil", 7).upper() + "!"
    said = judged(harbour, ("q", taken, ""), ("p", STORY.format("Zora", 99), ""))
    assert said["q"] == Verdict(
        "q", "text", "contamination", False, "contaminated", "Harbour: 11 of 13 runs of 8 words"
    )
    assert said["p"].keep


def test_what_every_question_of_a_benchmark_says_flags_nothing(harbour: Path) -> None:
    ours = f"Which of these birds can swim under water for the longest time?\n{LETTER}"
    assert judged(harbour, ("q", ours, ""), ("r", LETTER, ""))["q"].keep
    about = file.load(harbour).about
    assert about.counts["frequent_grams_left_out"] > 0
    assert about.options == {"max_document_share": 0.01, "always_kept_documents": 5}


def test_a_short_question_counts_only_without_an_image(harbour: Path) -> None:
    said = judged(harbour, ("q", "what is the TENTH lantern", ""), ("r", "What is the tenth lantern?", "i"))
    assert said["q"].detail == "Harbour: the whole question"
    assert said["r"].keep


def test_a_question_about_an_image_needs_longer_runs(harbour: Path) -> None:
    eight = "Now look: carrying 7 lanterns and a wicker basket full of silver Emil"
    rows = (("q", eight, ""), ("r", eight, "i"))
    assert [v.keep for v in judged(harbour, *rows).values()] == [False, True]
    assert [v.keep for v in judged(harbour, *rows, image_words=8).values()] == [False, False]
    assert [v.keep for v in judged(harbour, *rows, min_hits=9).values()] == [True, True]


def test_a_benchmarks_picture_is_found_in_another_size_and_quality(harbour: Path) -> None:
    near = picture_hashes.phash(jpeg(noise(4).resize((300, 300)), quality=60), 10**6)
    far = picture_hashes.phash(png(noise(77)), 10**6)
    rows = (("q", "What is this?", "near"), ("r", "What is this?", "far"), ("s", "What is this?", "none"))
    said = judged(harbour, *rows, hashes={"near": near, "far": far})
    assert said["q"].detail.startswith("Harbour: an image ")
    assert said["q"].detail.endswith(" of 64 bits away")
    assert said["r"].keep
    assert said["s"].keep
    assert judged(harbour, *rows, hashes={"near": near}, image_distance=None)["q"].keep


def test_a_signature_holds_hashes_and_no_text(harbour: Path) -> None:
    data = harbour.read_bytes()
    for word in (*NAMES, "lantern", "harbour wall", "wicker", "answer directly"):
        assert word.encode() not in data
    table = pq.read_table(harbour)
    assert table.schema.names == ["kind", "hash"]
    assert set(table["kind"].to_pylist()) == set(file.KINDS)
    about = file.load(harbour).about
    assert (about.name, about.counts["image"], about.counts["rows"], about.counts["short"]) == ("Harbour", 10, 11, 1)


def test_detail_never_quotes_the_benchmark(harbour: Path) -> None:
    said = judged(harbour, ("q", asked(2), ""))
    assert "lantern" not in said["q"].detail


def test_several_benchmarks_are_all_named(harbour: Path, tmp_path: Path) -> None:
    other = signature(tmp_path, "Port")
    section = ContaminationSection(signatures=(str(harbour), str(other)))
    (said,) = contamination.verdicts(questions(("q", asked(2), "")), section)
    assert [part.split(":")[0] for part in said.detail.split("; ")] == ["Harbour", "Port"]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 4
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [cut, flipped, lambda data: b"PAR1", lambda data: b""], ids=["cut", "bit", "stub", "empty"]
)
def test_a_damaged_signature_is_one_clear_error(
    harbour: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "damaged.parquet"
    path.write_bytes(damage(harbour.read_bytes()))
    with pytest.raises(SourceError, match=r"damaged|is no signature"):
        file.load(path)


def test_signatures_of_another_making_are_refused(
    harbour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="There is no signature file"):
        file.load(tmp_path / "absent.parquet")
    pl.DataFrame({"kind": ["image"], "hash": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(SourceError, match="is no signature file"):
        file.load(tmp_path / "other.parquet")
    monkeypatch.setattr(picture_hashes, "VERSION", 99)
    with pytest.raises(SourceError, match="build it again with this version"):
        file.load(harbour)


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"name": ["a list"]},
        {"counts": {"image": 3}},
        {"counts": [["image", 0]]},
        {"parameters": 7},
        {"secret": 1},
        None,
    ],
    ids=["no hashes", "name", "counts", "list of counts", "parameters", "unknown key", "no object"],
)
def test_a_signature_with_false_metadata_is_one_clear_error(tmp_path: Path, about: dict[str, object] | None) -> None:
    sound: dict[str, object] = {"name": "B", "source": "s", "revision": "", "counts": {}, "options": {}}
    sound |= {"parameters": file.parameters(), "tool": "t"}
    said = json.dumps([] if about is None else sound | about).encode()
    schema = pa.schema([("kind", pa.string()), ("hash", pa.uint64())], {b"capcurriculum.signature": said})
    path = tmp_path / "false.parquet"
    pq.write_table(schema.empty_table(), path)
    with pytest.raises(SourceError, match=r"damaged|hashes otherwise"):
        file.load(path)


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(60_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (base64.b64encode(bomb()).decode(), "image_too_large"),
        (base64.b64encode(b"no picture at all" * 9).decode(), "unreadable_image"),
        ("../../../etc/secret.png", "path_escapes"),
        ("absent.png", "missing_file"),
    ],
)
def test_a_picture_that_cannot_be_used_is_counted_and_left_out(tmp_path: Path, cell: str, reason: str) -> None:
    made = build.build(build.Wanted(benchmark(tmp_path, image=cell), "B", layouts.named("vlmevalkit")))
    assert made.about.counts[f"pictures_refused_{reason}"] == 1
    assert made.about.counts["image"] == 9


def test_a_benchmark_that_gives_nothing_to_compare_with_is_an_error(tmp_path: Path) -> None:
    path = tsv(tmp_path / "empty.tsv", [{"index": 0, "image": "absent.png", "question": ""}])
    with pytest.raises(SourceError, match=r"no question and no image .*missing_file 1"):
        build.build(build.Wanted(path, "B", layouts.named("vlmevalkit")))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "folder", "datasets"])
def test_the_same_benchmark_in_any_format_has_the_same_hashes(tmp_path: Path, harbour: Path, kind: str) -> None:
    (tmp_path / "pictures").mkdir()
    rows: list[dict[str, Any]] = [
        {"question": asked(n), "image": {"bytes": png(noise(n)), "path": None}} for n in range(10)
    ]
    rows.append({"question": "What is the tenth lantern?", "image": None})
    path = tmp_path / "data"
    match kind:
        case "jsonl":
            for number in range(10):
                (tmp_path / "pictures" / f"{number}.png").write_bytes(png(noise(number)))
                rows[number]["image"] = f"pictures/{number}.png"
            path = tmp_path / "data.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "datasets":
            import datasets

            datasets.Dataset.from_list(rows).cast_column("image", datasets.Image(decode=False)).save_to_disk(path)
        case _:
            path.mkdir()
            pl.DataFrame(rows).write_parquet(path / "part.parquet")
            path = path / "part.parquet" if kind == "parquet" else path
    made = build.build(build.Wanted(path, "Harbour", layouts.named("A-OKVQA")))
    known = file.load(harbour)
    for found in file.KINDS:
        assert made.hashes[found].tolist() == known.hashes[found].tolist()


def test_the_command_builds_a_file_and_mistakes_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = str(benchmark(tmp_path)), tmp_path / "made" / "h.parquet"
    words = ["signatures", "build", data, "--name", "H", "--out", str(out), "--source", "org/h", "--revision", "abc"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.startswith("H from org/h at abc\n")
    assert file.load(out).about.counts["image"] == 10
    made = out.read_bytes()
    for wrong in (
        [*words, "--question", "frage", "--image", "bild"],
        [*words, "--layout", "MathVisa"],
        ["signatures", "build", str(tmp_path / "absent"), "--name", "H", "--out", str(out)],
        [*words, "--out", "/proc/nowhere/h.parquet"],
    ):
        assert cli.main(wrong) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
    assert out.read_bytes() == made


def test_every_known_layout_reads_columns() -> None:
    assert {"MathVista", "MathVision", "MathVerse", "WeMath", "A-OKVQA", "RealWorldQA", "MMStar", "POPE"} <= set(
        layouts.LAYOUTS
    )
    assert all(layout.questions and layout.images for layout in layouts.LAYOUTS.values())
    assert layouts.named("POPE", questions=("q",)) == layouts.Layout(("q",), ("image",))
