"""A benchmark as the own runner asks it: samples with their questions as a model reads them, and a digest of it all.

The digest covers everything that a reply or its grade depends on, so results of an edited benchmark never mix with
earlier ones. A sample that cannot be asked or graded says so in `fault`, and becomes a failed row, never a wrong one.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Item:
    """One sample. `problem` is the text of the user turn, `question` the bare question, `kind` the gold
    answer's where it is known; the rest is as in `Sample`.
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
    """A benchmark by name; `file` is where it came from."""

    name: str
    digest: str
    items: Sequence[Item]
    file: Path


def made(name: str, items: Iterable[Item], file: Path) -> Benchmark:
    """The benchmark of these samples.

    Raises:
        EvaluationError: there are none, two have one id, or none of them can be graded.
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
        told = (item.sample, item.problem, item.options, item.gold, [Path(i).stem for i in item.images], item.fault)
        total.update(json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    if all(item.fault for item in found):
        raise EvaluationError(f"No sample of {file} can be asked and graded; of the first: {found[0].fault}.")
    return Benchmark(name, total.hexdigest()[:16], found, file)


def gold_fault(gold: str, options: Sequence[str]) -> str:
    """What is wrong with a marked answer, "" if nothing is."""
    if not gold:
        return "it has no marked answer"
    letters = [chr(ord("A") + place) for place in range(len(options))]
    if options and gold.upper() not in letters:
        return f"its marked answer {gold[:40]!r} is no option's letter"
    return ""
