"""Whether the filter `contamination` takes template questions about images for a benchmark's, by their words alone.

The benchmark is a mixture, as MathVista is: the problems of `benchmarks.contamination`, ten questions of MATH-V, forty
of POPE, and 40, 400 or 4,000 made from templates in the manner of CLEVR and CLEVR-Math. Judged are MATH-V's other ten,
POPE's other 39, and 10,000 further questions of the templates. None is a copy, so all that is dropped is a mistake.
Copies, made as there, are those of the problems of at least 16 words, as if they were about images.
`python -m benchmarks.contamination_images` prints both.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import contamination, templates
from benchmarks.grading_world import folder
from filters.corpus.contamination import ContaminationSection

RULES: dict[str, dict[str, Any]] = {
    "default": {},
    "one run of 13 words": {"min_share": None, "min_hits": 1, "image_words": 13},
    "runs of 13 words": {"image_words": 13},
    "runs of 5 words": {"image_words": 5},
}
_JUDGED = 10_000
_LONG = 16


def dropped(templated: int = 4_000, rule: str = "default") -> int | None:
    """Questions dropped that are no copies, with so many of the benchmark's questions made from templates."""
    found = _questions()
    if found is None:
        return None
    known, others = found
    known, others = known + templates.questions(templated, 1), others + templates.questions(_JUDGED, 2)
    return sum(_dropped(known, others, rule))


def recall(rule: str = "default") -> float | None:
    """Share of the copies of long problems that are found."""
    root = folder()
    if root is None or not (root / "real").is_dir():
        return None
    texts = [text for texts in contamination.asked(root).values() for text in texts if len(text.split()) >= _LONG]
    copies = [text for way, text in contamination.planted(texts) if way != contamination.NUMBERS]
    return sum(_dropped(texts, copies, rule)) / len(copies)


def _questions() -> tuple[list[str], list[str]] | None:
    """Of the benchmark, and others."""
    root = folder()
    if root is None or not (root / "real").is_dir():
        return None
    drawn = [row["question"] for row in contamination.lines(root / "real/mathvision/slice20.jsonl")]
    asked = contamination.lines(root / "real/pope/coco_pope_adversarial.json")
    objects = list(dict.fromkeys(row["text"] for row in asked))
    problems = [text for texts in contamination.asked(root).values() for text in texts]
    return problems + drawn[:10] + objects[:40], drawn[10:] + objects[40:]


def _dropped(known: list[str], judged: list[str], rule: str) -> list[bool]:
    with tempfile.TemporaryDirectory() as place:
        signature = contamination.signature(Path(place), "benchmark", known)
        section = ContaminationSection(signatures=(signature,), **RULES[rule])
        return [bool(told) for told in contamination.details(judged, section, image_id="shown")]


def main() -> None:
    """Print all rules."""
    if recall() is None:
        raise SystemExit("CAPCURRICULUM_OTHERS names no folder with real/.")
    print("| rule | 40 of 740 | 400 of 1,100 | 4,000 of 4,700 | copies found |\n|---|---|---|---|---|")
    for rule in RULES:
        print(f"| {rule} | {' | '.join(str(dropped(many, rule)) for many in (40, 400, 4_000))} | {recall(rule):.3f} |")


if __name__ == "__main__":
    main()
