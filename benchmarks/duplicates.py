"""Near-duplicates at scale: 1,000,000 problems without an image, and 1,000,000 questions about as many images.

Nineteen of twenty rows are originals: free texts of 12 to 60 words of a vocabulary with Zipf's frequencies, word
problems made from 200 templates that differ in names and numbers, and 400 questions asked of all images alike. Every
twentieth row is a copy of an original with one word changed (two in 15 words or more), other punctuation and case, the
same answer; the copy of a question about an image is about an image whose hash is 0, 2, 4 or 6 bits away. One process
makes the files, another, whose memory is told, judges them.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.processes import answer_of, peak_mb
from filters.corpus.duplicates import filter
from filters.corpus.duplicates.filter import DuplicatesSection

ROWS = 1_000_000
PLANTED = 20
SECTION = DuplicatesSection(image_distance=6)
_CHUNK = 50_000


def recall() -> float:
    """Share of the planted copies that were found."""
    return _measured()["recall"]


def precision() -> float:
    """Share of the rows dropped that were planted copies, or their originals."""
    return _measured()["precision"]


def seconds() -> float:
    """From the files to the last verdict."""
    return _measured()["seconds"]


def rss_gb() -> float:
    """Peak memory of that process."""
    return _measured()["rss_gb"]


@cache
def _measured() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        answer_of("benchmarks.duplicates", "make", folder)
        return dict(answer_of("benchmarks.duplicates", "judge", folder))


def make(folder: Path, rows: int = ROWS) -> None:
    """Write `questions-*.parquet` (with a `family` of originals and their copies) and `hashes.parquet`."""
    rng = np.random.default_rng(0)
    words = _vocabulary(rng)
    texts = _texts(rng, words, rows)
    for part, begin in enumerate(range(0, rows, _CHUNK)):
        _written(_problems(texts, begin, min(begin + _CHUNK, rows)), folder / f"questions-{part:03d}.parquet")
    hashes, originals = _hashes(rng, rows)
    asked = _image_questions(rng, words, rows, originals)
    for part, begin in enumerate(range(0, rows, _CHUNK), 1000):
        chunk = range(begin, min(begin + _CHUNK, rows))
        found = [("perception", *asked[row], f"image{row}", f"v{originals[row]}") for row in chunk]
        _written(found, folder / f"questions-{part:03d}.parquet")
    names = [f"image{row}" for row in range(rows)]
    pl.DataFrame({"image_id": names, "phash": hashes}).write_parquet(folder / "hashes.parquet")


def judge(folder: Path) -> dict[str, float]:
    """Judge the files, and say what was found, in which time and memory."""
    begun = time.perf_counter()
    questions = pl.scan_parquet(folder / "questions-*.parquet")
    hashes = pl.scan_parquet(folder / "hashes.parquet")
    verdicts = filter.verdicts(questions, SECTION, hashes)
    said = [(verdict.question_id, verdict.detail[3:19]) for verdict in verdicts if not verdict.keep]
    spent = time.perf_counter() - begun
    peak = peak_mb() / 1000
    return _scored(questions, said) | {"seconds": spent, "rss_gb": peak}


def _scored(questions: pl.LazyFrame, said: list[tuple[str, str]]) -> dict[str, float]:
    family = questions.select("question_id", "family").collect()
    dropped = pl.DataFrame(said, schema=["question_id", "kept_id"], orient="row").join(family, on="question_id")
    dropped = dropped.join(family, left_on="kept_id", right_on="question_id", suffix="_kept")
    true = dropped.filter(pl.col("family") == pl.col("family_kept")).height
    planted = family.height - family["family"].n_unique()
    return {"recall": true / planted, "precision": true / len(said), "dropped": len(said), "planted": planted}


def _vocabulary(rng: np.random.Generator) -> list[str]:
    syllables = [c + v for c in "bcdfghjklmnprstvwz" for v in ("a", "e", "i", "o", "u", "ar", "en", "il", "on")]
    drawn, lengths = rng.choice(syllables, size=(80_000, 4)).tolist(), rng.integers(1, 5, 80_000).tolist()
    return sorted({"".join(word[:length]) for word, length in zip(drawn, lengths, strict=True)})[:50_000]


def _texts(rng: np.random.Generator, words: list[str], rows: int) -> list[tuple[str, str, int]]:
    """Problem, answer and family."""
    places = rng.permutation(len(words))
    frequency = 1 / np.arange(1, len(words) + 1)
    frequency /= frequency.sum()
    templates = [[words[places[w]] for w in rng.choice(len(words), 24, p=frequency)] for _ in range(200)]
    found: list[tuple[str, str, int]] = []
    for row in range(rows):
        if row % _CHUNK == 0:
            drawn = iter(places[rng.choice(len(words), min(_CHUNK, rows) * 60, p=frequency)].tolist())
        if row % PLANTED == PLANTED - 1:
            text, answer, family = found[_original(rng, row)]
            found.append((_changed(rng, text, words), answer, family))
        elif row % 10 < 3:
            found.append((*_from_template(rng, templates, words), row))
        else:
            taken = [words[next(drawn)] for _ in range(int(rng.integers(12, 48)))]
            found.append((" ".join(taken).capitalize() + "?", words[next(drawn)], row))
    return found


def _original(rng: np.random.Generator, row: int) -> int:
    """An earlier row that is not a copy itself."""
    return int(rng.integers((row + 1) // PLANTED)) * PLANTED + int(rng.integers(PLANTED - 1))


def _from_template(rng: np.random.Generator, templates: list[list[str]], words: list[str]) -> tuple[str, str]:
    one, two = rng.integers(10, 100_000, size=2).tolist()
    name = words[int(rng.integers(len(words)))].capitalize()
    text = templates[int(rng.integers(len(templates)))]
    return f"{name} {' '.join(text[:8])} {one} {' '.join(text[8:16])} {two} {' '.join(text[16:])}?", str(one + two)


def _changed(rng: np.random.Generator, text: str, words: list[str]) -> str:
    parts = text.split(" ")
    free = [place for place, part in enumerate(parts) if not part[0].isdigit()]
    for place in rng.choice(free, size=2 if len(parts) >= 15 else 1, replace=False).tolist():
        parts[place] = words[int(rng.integers(len(words)))]
    if rng.random() < 0.5:
        parts[int(rng.integers(len(parts) - 1))] += ","
    changed = " ".join(parts)
    return changed.upper() if rng.random() < 0.2 else changed.rstrip("?") + " ?"


def _hashes(rng: np.random.Generator, rows: int) -> tuple["np.typing.NDArray[np.uint64]", list[int]]:
    """Hashes with 32 bits set, as perceptual hashes have, and the row each was copied from, or its own."""
    bits = np.zeros((rows, 64), bool)
    for begin in range(0, rows, _CHUNK):
        part = bits[begin : begin + _CHUNK]
        ones = np.argpartition(rng.random(part.shape), 32, axis=1)[:, :32]
        np.put_along_axis(part, ones, True, axis=1)
    originals = list(range(rows))
    for row in range(PLANTED - 1, rows, PLANTED):
        original = _original(rng, row)
        originals[row], bits[row] = original, bits[original]
        for _ in range(int(rng.integers(4))):
            bits[row, rng.choice(np.flatnonzero(bits[row] & bits[original]))] = False
            bits[row, rng.choice(np.flatnonzero(~bits[row] & ~bits[original]))] = True
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64).ravel(), originals


def _image_questions(
    rng: np.random.Generator, words: list[str], rows: int, originals: list[int]
) -> list[tuple[str, str]]:
    """Problem and answer of every image, from 400 questions and 40 answers."""
    asked = ["What " + " ".join(rng.choice(words[:3000], size=rng.integers(5, 14))) + "?" for _ in range(400)]
    found: list[tuple[str, str]] = []
    for row in range(rows):
        text, answer = asked[int(rng.integers(400))], words[int(rng.integers(40))]
        if originals[row] != row:
            text, answer = found[originals[row]]
            text = text.upper() if rng.random() < 0.5 else text.replace("?", " ?").replace(" ", "  ", 1)
        found.append((text, answer))
    return found


def _problems(texts: list[tuple[str, str, int]], begin: int, end: int) -> Iterator[tuple[str, str, str, str, str]]:
    for text, answer, family in texts[begin:end]:
        yield "text", text, answer, "", f"t{family}"


def _written(rows: Iterable[tuple[str, ...]], path: Path) -> None:
    frame = pl.DataFrame(list(rows), schema=["stage", "problem", "answer", "image_id", "family"], orient="row")
    number = int(path.stem.split("-")[1]) * _CHUNK
    ids = [f"{(number + place) * 0x9E3779B97F4A7C15 % 2**64:016x}" for place in range(frame.height)]
    frame.with_columns(
        question_id=pl.Series(ids), text=pl.lit(""), options=pl.lit([], dtype=pl.List(pl.String))
    ).write_parquet(path)


def main() -> None:
    """Make the files or judge them, and print the numbers as the last line."""
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "make":
        make(folder, *map(int, sys.argv[3:]))
        print(json.dumps({}))
    else:
        print(json.dumps(judge(folder)))


if __name__ == "__main__":
    main()
