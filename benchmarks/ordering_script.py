"""The script one would write without this library: JSON lines into dicts, group, shuffle, sort, write JSON lines.

`python -m benchmarks.ordering_script FOLDER` reads `questions.jsonl` and `answers.jsonl` and writes, for every order of
`benchmarks.ordering`, a listing below `listed/` and one file for each set and split below `out/`; it prints seconds and
peak memory as JSON. It makes no set twice either, so the permutations, pairs and single stages cost it nothing.
"""

import hashlib
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.processes import peak_mb

Row = dict[str, Any]
STAGES = ("perception", "text", "visual")


def load(folder: Path) -> list[Row]:
    """Every question with its answers in order and its pass rate."""
    answers: defaultdict[str, list[tuple[int, str, bool]]] = defaultdict(list)
    with (folder / "answers.jsonl").open() as lines:
        for line in lines:
            answer = json.loads(line)
            answers[answer["question_id"]].append((answer["rollout"], answer["answer"], answer["outcome"] == "right"))
    rows = []
    with (folder / "questions.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            found = sorted(answers.pop(row["question_id"]))
            row["predictions"] = [answer for _, answer, _ in found]
            row["correctness"] = [right for _, _, right in found]
            row["pass_k"], row["pass_n"] = sum(row["correctness"]), len(found)
            row["pass_rate"] = row["pass_k"] / row["pass_n"]
            row["split"] = split(row)
            rows.append(row)
    return rows


def split(row: Row) -> str:
    unit = row["image_id"] or row["problem"]
    place = int(hashlib.sha256(unit.encode()).hexdigest(), 16) % 100
    return "test" if place < 10 else "val" if place < 15 else "train"


def shuffled(rows: Iterable[Row]) -> list[Row]:
    found = list(rows)
    random.Random(0).shuffle(found)
    return found


def by_rate(rows: Iterable[Row], hard_first: bool = False) -> list[Row]:
    return sorted(shuffled(rows), key=lambda row: row["pass_rate"], reverse=not hard_first)


def interleaved(groups: list[list[Row]]) -> list[Row]:
    timed = [((place + 0.5) / len(group), row) for group in groups for place, row in enumerate(group)]
    return [row for _, row in sorted(timed, key=lambda pair: pair[0])]


def balanced(rows: list[Row], by: str) -> list[Row]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[by]].append(row)
    return interleaved(list(groups.values()))


def orders(rows: list[Row]) -> Iterator[tuple[str, dict[str, list[Row]]]]:
    """(order, set -> rows); a set that another order has already is not made again."""
    stages = {stage: [row for row in rows if row["stage"] == stage] for stage in STAGES}
    yield "merged", {"merged": shuffled(rows)}
    yield "difficulty", {"difficulty": by_rate(rows)}
    yield "difficulty-reverse", {"difficulty": by_rate(rows, hard_first=True)}
    yield "capability", {stage: shuffled(found) for stage, found in stages.items()}
    easy = {stage: by_rate(found) for stage, found in stages.items()}
    yield "stages", easy
    yield "stages-reverse", {stage: by_rate(found, hard_first=True) for stage, found in stages.items()}
    yield "interleaved", {"interleaved": interleaved(list(easy.values()))}
    yield "replay", replay(easy)
    yield "balanced", {"merged": balanced(shuffled(rows), "skill")}


def replay(easy: dict[str, list[Row]]) -> dict[str, list[Row]]:
    made, earlier = {}, list[Row]()
    for stage, rows in easy.items():
        if earlier:
            again = random.Random(stage).sample(earlier, len(earlier) // 10)
            made[stage] = interleaved([rows, by_rate(row for row in again if row["split"] == "train")])
        earlier += rows
    return made


LISTED = ("question_id", "stage", "skill", "source", "pass_k", "pass_n", "pass_rate")


def write_listing(folder: Path, name: str, rows: list[Row]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    index = {"train": 0, "val": 0, "test": 0}
    with (folder / "rows.jsonl").open("a") as file:
        for row in rows:
            line = {"set": name, "split": row["split"], "index": index[row["split"]]}
            index[row["split"]] += 1
            file.write(json.dumps(line | {key: row[key] for key in LISTED}) + "\n")


def write(folder: Path, rows: list[Row]) -> None:
    folder.mkdir(parents=True)
    files = {name: (folder / f"{name}.jsonl").open("w") for name in ("train", "val", "test")}
    for place, row in enumerate(rows):
        files[row["split"]].write(json.dumps({"index": str(place)} | row) + "\n")
    for file in files.values():
        file.close()


def main(folder: Path) -> None:
    begun = time.perf_counter()
    rows = load(folder)
    loaded = time.perf_counter() - begun
    listing = filing = 0.0
    for order, sets in orders(rows):
        for name, found in sets.items():
            start = time.perf_counter()
            write_listing(folder / "listed" / order, name, found)
            middle = time.perf_counter()
            write(folder / "out" / order / name, found)
            listing, filing = listing + middle - start, filing + time.perf_counter() - middle
    total = time.perf_counter() - begun
    peak = peak_mb()
    print(json.dumps({"listed": total - filing, "filed": total - listing, "loaded": loaded, "peak_mb": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
