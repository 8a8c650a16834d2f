"""Contamination: benchmark questions and pictures are found by hashes alone, and hostile files are refused."""

import base64
import csv
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from capcurriculum import cli
from capcurriculum.errors import SourceError
from capcurriculum.rows import Verdict
from filters.corpus import contamination, image_hashes, latex_words, shared_runs, text_hashes
from filters.corpus.contamination import ContaminationSection
from filters.corpus.shared_runs import Texts
from filters.corpus.signatures import build, file, layouts
from tests.support.pictures import jpeg, noise, png

LETTER = "Please answer directly with only the letter of the correct option and nothing else."
NAMES = ("Amina", "Bruno", "Chen", "Divya", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun")
STORY = "{0} walked slowly along the harbour wall carrying {1} lanterns and a wicker basket full of silver {0} fish"
LOAVES = (
    r"A baker in the old town sells $\frac{1}{2}$ of the round loaves before noon, where each loaf has $2\pi r \le 90$,"
    " and gives three of the remaining loaves to a neighbour. How many loaves are left in the evening?"
)
PRIMES = (
    "The probability that two dice of a gambler show the same face is m/n, where m and n are relatively prime positive "
    "integers. Find the remainder of the product of m and n by eleven."
)
SHORT = r"Compute $\cos 60^\circ$."


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


def benchmark_of(folder: Path, *texts: str) -> Path:
    path = folder / "bench.jsonl"
    path.write_text("".join(json.dumps({"question": text}) + "\n" for text in texts))
    return path


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three questions without an image."""
    folder = tmp_path_factory.mktemp("bakery")
    data = benchmark_of(folder, LOAVES, PRIMES, SHORT)
    file.save(build.build(build.Wanted(data, "Bakery", layouts.named("vlmevalkit"))), folder / "bakery.parquet")
    return folder / "bakery.parquet"


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
        "q", "text", "contamination", False, "contaminated", "Harbour: 8 of 11 runs of 5 words of one question"
    )
    assert said["p"].keep


def test_what_every_question_of_a_benchmark_says_flags_nothing(harbour: Path) -> None:
    ours = f"Which of these birds can swim under water for the longest time?\n{LETTER}"
    assert judged(harbour, ("q", ours, ""), ("r", LETTER, ""))["q"].keep
    about = file.load(harbour).about
    assert about.counts["frequent_grams_left_out"] > 0
    assert about.options == {"max_document_share": 0.01, "always_kept_documents": 5, "never_kept_documents": 20}


def test_a_short_question_counts_only_without_an_image(harbour: Path) -> None:
    said = judged(harbour, ("q", "what is the TENTH lantern", ""), ("r", "What is the tenth lantern?", "i"))
    assert said["q"].detail == "Harbour: the whole question"
    assert said["r"].keep


def test_a_question_about_an_image_must_share_more(bakery: Path) -> None:
    rows = [(number, " ".join(LOAVES.split()[:14]), image) for number, image in (("q", ""), ("r", "i"))]
    assert [v.keep for v in judged(bakery, *rows).values()] == [False, True]
    assert [v.keep for v in judged(bakery, *rows, image_at_least=15).values()] == [False, False]
    assert [v.keep for v in judged(bakery, *rows, image_at_least=15, image_words=None).values()] == [False, True]
    long = ("s", " ".join(LOAVES.split()[:15]), "i")
    assert judged(bakery, long)["s"].detail == "Bakery: 9 of 9 runs of 8 words of one question"


@pytest.mark.parametrize(
    "copy",
    [
        LOAVES.upper(),
        LOAVES.replace(r"\frac{1}{2}", r"\dfrac12").replace("$", ""),
        LOAVES.replace(r"$\frac{1}{2}$", r"\(\tfrac{1}{2}\)"),
        LOAVES.replace(r"$\frac{1}{2}$", "½").replace(r"$2\pi r \le 90$", "2π r ≤ 90"),
        LOAVES.replace(r"2\pi r \le 90", r"2 \, \pi \left( r \right) \leq 90"),
        f"You are a careful assistant.\nQuestion: {LOAVES}\nPlease reason step by step and end with a number.",
        " ".join(LOAVES.split()[:16]),
        LOAVES.replace("sells", "gladly sells").replace("remaining", "other"),
        f"{LOAVES}\nOptions: (A) 3 (B) 4 (C) 5 (D) 6",
    ],
    ids=["case", "fraction", "delimiters", "unicode", "spacing", "prompt", "cut", "words", "options"],
)
def test_a_copy_is_found_however_it_is_written(bakery: Path, copy: str) -> None:
    (said,) = judged(bakery, ("q", copy, "")).values()
    assert said.detail.startswith("Bakery: ")
    assert said.detail.endswith(" runs of 5 words of one question")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"Let $\dfrac12 \le 2\theta\left(x^{2}\right)$.", "let 1 2 2 θ x 2"),
        (r"LET \(½ ≤ 2θ·x²\)", "let 1 2 2 θ x 2"),
        (r"\sin x \\ \text{or} \sqrt2", "sin x or sqrt 2"),
        ("sin x or √2", "sin x or sqrt 2"),
        (r"$\leq$", "leq"),
        ("??", "??"),
        ("", ""),
    ],
)
def test_formulas_are_words_as_they_read(text: str, words: str) -> None:
    assert pl.select(latex_words.plain(pl.lit(text))).item() == words


def test_a_stock_phrase_is_no_copy_but_is_one_shared_run(bakery: Path) -> None:
    ours = (
        "Seven frogs leap in turn across a round pond. The area that none of them ever crosses is m/n, where m and n "
        "are relatively prime positive integers. Find the sum of m and n."
    )
    assert judged(bakery, ("q", ours, ""))["q"].keep
    old = judged(bakery, ("q", ours, ""), min_share=None, min_hits=1, text_words=8)["q"]
    assert old.detail == "Bakery: 7 of 29 runs of 8 words"
    assert judged(bakery, ("q", ours, ""), min_share=None, min_hits=8, text_words=8)["q"].keep


def test_runs_of_different_questions_do_not_add_up(bakery: Path) -> None:
    halves = [" ".join(text.split()[:9]) for text in (LOAVES, PRIMES)]
    mixed = f"{halves[0]} nobody knows why or when, so {halves[1]} as the old miller of this town once said"
    assert judged(bakery, ("q", mixed, ""))["q"].keep
    assert judged(bakery, ("q", mixed, ""), min_share=0.2)["q"].detail == (
        "Bakery: 6 of 30 runs of 5 words of one question"
    )


def test_a_tiny_text_needs_so_many_words_or_the_whole_question(bakery: Path) -> None:
    seven, eight = " ".join(LOAVES.split()[:7]), " ".join(LOAVES.split()[:8])
    assert [v.keep for v in judged(bakery, ("q", seven, ""), ("r", eight, "")).values()] == [True, False]
    assert judged(bakery, ("q", SHORT.lower(), ""))["q"].detail == "Bakery: the whole question"
    assert judged(bakery, ("q", SHORT.replace("cos", "sin"), ""))["q"].keep


def test_what_is_shared_is_what_counting_one_by_one_gives(tmp_path: Path) -> None:
    draw = random.Random(4)
    known = [" ".join(draw.choices("abcdefgh", k=draw.randint(1, 30))) for _ in range(60)]
    ours = [" ".join(draw.choices("abcdefgh", k=draw.randint(0, 30))) for _ in range(200)] + known[:20]
    made = build.build(build.Wanted(benchmark_of(tmp_path, *known), "B", layouts.named("vlmevalkit")))
    texts = text_hashes.words(pl.Series(ours))
    for share, least in ((0.3, 1), (0.7, 4)):
        found = shared_runs.most(Texts.of(*texts.grams(5), len(ours)), made, "gram5", share, least)
        for place, text in enumerate(ours):
            both = [(len(runs(text) & runs(other)), min(len(runs(text)), len(runs(other)))) for other in known]
            enough = [(a, b) for a, b in both if a >= least and a >= share * b]
            best = max(enough, key=lambda pair: (pair[0] / pair[1], pair[0]), default=(0, 0))
            assert (found.runs[place], found.shorter[place]) == best


def runs(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_share": None}, "min_share and min_hits are both null"),
        ({"text_at_least": 4}, "must not be below text_words"),
        ({"image_words": 13, "image_at_least": 12}, "must not be below text_words and image_words"),
        ({"min_share": 0}, "greater than 0"),
        ({"text_words": 6}, "should be 5, 8 or 13"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ContaminationSection(signatures=("b.parquet",), **changes)


def test_a_benchmarks_picture_is_found_in_another_size_and_quality(harbour: Path) -> None:
    near = image_hashes.phash(jpeg(noise(4).resize((300, 300)), quality=60), 10**6)
    far = image_hashes.phash(png(noise(77)), 10**6)
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
    assert table.schema.names == ["kind", "hash", "question"]
    assert set(table["kind"].to_pylist()) == set(file.KINDS)
    about = file.load(harbour).about
    assert (about.name, about.counts["image"], about.counts["rows"], about.counts["whole"]) == ("Harbour", 10, 11, 11)


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
    monkeypatch.setattr(image_hashes, "VERSION", 99)
    with pytest.raises(SourceError, match=rf"signatures build DATA --name Harbour --out {harbour}`") as refused:
        file.load(harbour)
    assert str(refused.value).count("\n") == 0


def test_a_signature_of_the_first_format_is_refused_with_how_to_make_it_again(tmp_path: Path) -> None:
    about = {
        "name": "Old one",
        "source": "s",
        "revision": "",
        "counts": {},
        "options": {},
        "tool": "capcurriculum 0.1.0",
    }
    about["parameters"] = {"format": 1, "words": 1, "phash": 1}
    schema = pa.schema([("kind", pa.string()), ("hash", pa.uint64())], {b"capcurriculum.signature": json.dumps(about)})
    pq.write_table(schema.empty_table(), tmp_path / "old.parquet")
    with pytest.raises(
        SourceError, match=r"build it again .*`capcurriculum signatures build DATA --name 'Old one' --out "
    ):
        file.load(tmp_path / "old.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.reverse(), "not in order"),
        (lambda rows: rows.with_columns(question=pl.lit(11, pl.UInt32)), "questions that it does not have"),
        (lambda rows: rows.with_columns(question=pl.lit(None, pl.UInt32)), "empty cells"),
        (lambda rows: rows.head(-1), "as many hashes"),
    ],
    ids=["order", "question", "empty", "fewer"],
)
def test_a_signature_with_false_rows_is_one_clear_error(
    harbour: Path, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], said: str
) -> None:
    table = pq.read_table(harbour)
    rows = change(pl.DataFrame(pl.from_arrow(table)))
    pq.write_table(rows.to_arrow().cast(table.schema), tmp_path / "false.parquet")
    with pytest.raises(SourceError, match=f"damaged .*{said}"):
        file.load(tmp_path / "false.parquet")


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
    columns = [("kind", pa.string()), ("hash", pa.uint64()), ("question", pa.uint32())]
    schema = pa.schema(columns, {b"capcurriculum.signature": said})
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
    for found in file.RUNS:
        assert made.questions[found].tolist() == known.questions[found].tolist()


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
