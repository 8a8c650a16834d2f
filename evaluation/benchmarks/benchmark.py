"""A benchmark: samples with their questions as a model reads them, and a digest of all.

The digest covers everything that a reply or its grade depends on, so results of an edited benchmark never mix with
earlier ones. A sample that cannot be asked or graded has a `fault`, and becomes a failed row, never a wrong one.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from capcurriculum.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Item:
    """One sample: `problem` is the text of the user turn, `question` the bare question, `kind` that of the gold answer
    ("" if unknown); the rest is as in `Sample`.
    """

    sample: str
    problem: str
    question: str
    options: tuple[str, ...]
    gold: str
    images: tuple[str, ...]
    skill: str = ""
    fault: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark read from `file`."""

    name: str
    digest: str
    items: Sequence[Item]
    file: Path


def made(name: str, items: Iterable[Item], file: Path) -> Benchmark:
    """The benchmark with these samples.

    Raises:
        EvaluationError: there are no samples, two have the same id, or none can be asked and graded.
    """
    found = list(items)
    if not found:
        raise EvaluationError(f"The benchmark {file} holds no samples.")
    total = hashlib.sha256()
    seen: set[str] = set()
    for item in found:
        if item.sample in seen:
            raise EvaluationError(f"Two samples of {file} are called {item.sample!r}; give each an index of its own.")
        seen.add(item.sample)
        parts = (item.sample, item.problem, item.options, item.gold, [Path(i).stem for i in item.images], item.fault)
        total.update(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    if all(item.fault for item in found):
        raise EvaluationError(f"No sample of {file} can be asked and graded; of the first: {found[0].fault}.")
    return Benchmark(name, total.hexdigest()[:16], found, file)


def gold_fault(gold: str, options: Sequence[str]) -> str:
    """What is wrong with a gold answer, "" if nothing."""
    if not gold:
        return "it has no marked answer"
    if options and gold.upper() not in ascii_uppercase[: len(options)]:
        return f"its marked answer {gold[:40]!r} is no option's letter"
    return ""
