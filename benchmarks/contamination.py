"""How well the filter `contamination` tells copies of benchmark problems from real rows.

Clean rows are the distinct problems of ORZ-Math and the second half of a slice of GSM8K; the benchmarks are MATH-500
and the first half of that slice. Copies are each benchmark problem in every way of `benchmarks.copies` that changes it.
The thirty clean rows that share most runs of words with one benchmark problem, and those most like one by two edit
similarities, were read: none is a copy, they share openings ("let x, y and z be positive real numbers"), endings ("m
and n are relatively prime positive integers, find m + n") and counting (1, 2, 3, ...). So every clean row that is
dropped is counted as a mistake.

The files are not part of this repository: `CAPCURRICULUM_OTHERS` names a folder with `real/` (ORZ, MATH-500 and GSM8K
as their owners publish them), and without it every number here is None. `python -m benchmarks.contamination` prints
what was found of each way, and the clean rows that were dropped.
"""

import json
import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import copies
from benchmarks.grading_world import folder
from filters.corpus import contamination
from filters.corpus.contamination import ContaminationSection
from filters.corpus.signatures import build, file, layouts

#: Of the rows that precision is told of, one in eleven is a copy.
CLEAN_FOR_A_COPY = 10
NUMBERS = "other numbers"
_SCHOOL = "real/gsm8k/slice300.jsonl"
_OLD: dict[str, Any] = {"min_share": None, "min_hits": 1, "text_words": 8}


@dataclass(frozen=True, slots=True)
class Found:
    """What the filter dropped: shares of the copies by way, and the clean rows with the verdict's detail."""

    ways: dict[str, tuple[int, int]]
    clean: int
    dropped: tuple[tuple[str, str], ...]

    @property
    def recall(self) -> float:
        """Of all copies, one problem with its numbers changed being none."""
        counted = [counts for name, counts in self.ways.items() if name != NUMBERS]
        return sum(one for one, _ in counted) / sum(many for _, many in counted)

    @property
    def precision(self) -> float:
        """Of the rows dropped where there is a copy to ten clean rows."""
        right = self.recall * self.clean / CLEAN_FOR_A_COPY
        return right / (right + len(self.dropped))


def precision() -> float | None:
    """By the default rule."""
    return None if (found := measured()) is None else found.precision


def recall() -> float | None:
    """By the default rule."""
    return None if (found := measured()) is None else found.recall


def run_precision() -> float | None:
    """By the rule that one shared run of 8 words is enough."""
    return None if (found := measured(old=True)) is None else found.precision


def run_recall() -> float | None:
    """By the rule that one shared run of 8 words is enough."""
    return None if (found := measured(old=True)) is None else found.recall


@cache
def measured(old: bool = False) -> Found | None:
    """What the filter with its defaults, or with the old rule, drops of clean rows and copies, or None."""
    root = folder()
    if root is None or not (root / "real").is_dir():
        return None
    clean = [*_orz(root / "real/orz"), *(row["question"] for row in lines(root / _SCHOOL)[150:])]
    benchmarks = asked(root)
    made = [copy for texts in benchmarks.values() for copy in planted(texts)]
    with tempfile.TemporaryDirectory() as place:
        signatures = tuple(signature(Path(place), name, texts) for name, texts in benchmarks.items())
        section = ContaminationSection(signatures=signatures, **(_OLD if old else {}))
        said = details([*clean, *(text for _, text in made)], section)
    dropped = [(text, told) for text, told in zip(clean, said, strict=False) if told]
    hits = Counter(way for (way, _), told in zip(made, said[len(clean) :], strict=True) if told)
    many = Counter(way for way, _ in made)
    return Found({way: (hits[way], many[way]) for way in many}, len(clean), tuple(dropped))


def asked(root: Path) -> dict[str, list[str]]:
    """Problems of the benchmarks by their names."""
    maths = [row["problem"] for row in lines(root / "real/math500/test.jsonl")]
    return {"MATH-500": maths, "GSM8K": [row["question"] for row in lines(root / _SCHOOL)[:150]]}


def lines(path: Path) -> list[dict[str, str]]:
    """Objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _orz(place: Path) -> list[str]:
    rows = [row for path in sorted(place.glob("*.json")) for row in json.loads(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(row[0]["value"] for row in rows))


def planted(texts: list[str]) -> list[tuple[str, str]]:
    """Way and text of every copy; those that a way leaves as they are count once, as they are."""
    made = []
    for name, way in (*copies.WAYS.items(), (NUMBERS, copies.other_numbers)):
        draw = random.Random(name)
        made += [(name, copy) for text in texts if (copy := way(text, draw)) != text or name == "as it is"]
    return made


def signature(place: Path, name: str, texts: list[str]) -> str:
    """Path of a signature file of these questions."""
    data, path = place / f"{name}.jsonl", place / f"{name}.parquet"
    data.write_text("".join(json.dumps({"question": text}) + "\n" for text in texts), encoding="utf-8")
    file.save(build.build(build.Wanted(data, name, layouts.named("vlmevalkit"))), path)
    return str(path)


def details(texts: list[str], section: ContaminationSection, image_id: str = "") -> list[str]:
    """What the verdict on each text says, nothing where it is kept."""
    rows = pl.LazyFrame({"question_id": map(str, range(len(texts))), "problem": texts})
    columns = {name: pl.lit(value) for name, value in (("stage", "text"), ("text", ""), ("image_id", image_id))}
    return [verdict.detail for verdict in contamination.verdicts(rows.with_columns(**columns), section)]


def main() -> None:
    """Print both rules by way, and what the default drops of the clean rows."""
    new, old = measured(), measured(old=True)
    if new is None or old is None:
        raise SystemExit("CAPCURRICULUM_OTHERS names no folder with real/.")
    print("| copies | n | default | one run of 8 words |\n|---|---|---|---|")
    for way, (hits, many) in new.ways.items():
        print(f"| {way} | {many:,} | {hits / many:.1%} | {old.ways[way][0] / many:.1%} |")
    print(f"| clean rows dropped | {new.clean:,} | {len(new.dropped)} | {len(old.dropped)} |")
    print(f"| precision | | {new.precision:.3f} | {old.precision:.3f} |")
    print(f"| recall | | {new.recall:.3f} | {old.recall:.3f} |")
    for text, told in new.dropped:
        print(f"{told}: {text[:200]!r}")


if __name__ == "__main__":
    main()
