"""Files that others wrote, read as a build reads them: is every row told of, and is every gold what its file says?

They are not in the repository: `CAPCURRICULUM_OTHERS` names a folder with `real` (upstream files as they are) and
`cases` (inputs made anew after public reports, with recipes). Without it nothing is measured. What a file says is taken
from it here with `json` alone, by nothing that the readers use.
"""

import contextlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from datagen.sources import registry
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store

Row = CaptionedImage | Question | Verdict
#: The right option, or answer, of every row of a case whose file does not say it in plain words.
TRUTHS = {
    "Which fruit is yellow?": "banana",
    "Which planet is red?": "Mars",
    "Which metal is liquid at room temperature?": "mercury",
    "Which bird cannot fly?": "emu",
    "How many cups are on the shelf (there are three)?": "3",
    "How many legs has a spider?": "8",
    "How many sides has a triangle?": "3",
    "How many wheels has a tricycle?": "3",
    "Which organ pumps blood?": "heart",
    "Which is a root?": "carrot",
    "Which is a gas?": "steam",
    "Which is a vowel?": "e",
    "Which is even?": "4",
    "Which is odd?": "5",
}


#: A key that is a letter, however it is set: `(D) 1`, `\\text{(B)}`.
_LETTER = re.compile(r"\s*(?:\\text\{)?\(?([A-J])(?:[).]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file of others: how a recipe reads it, and its rows as it holds them."""

    name: str
    stage: Stage
    section: SourceSection
    rows: Sequence[dict[str, Any]]
    gold: Callable[[dict[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a file: its rows, those kept, refused by reason, and what is wrong with them."""

    file: File
    items: Sequence[Row]
    refused: str = ""

    @property
    def unsaid(self) -> int:
        """Rows that are neither kept nor told about."""
        return 0 if self.refused else max(0, len(self.file.rows) - len(self.items))

    @property
    def wrong(self) -> list[tuple[str, str, str]]:
        """(problem, gold of the file, gold of the row) of rows whose gold is another."""
        pairs = zip(self.file.rows, self.items, strict=False)
        return [
            (item.problem[:80], said, _gold(item))
            for row, item in pairs
            if isinstance(item, Question) and not _same(said := _truth(self.file, row, item), item)
        ]


def wrong_golds() -> float | None:
    """Kept rows of all files whose gold is not the file's."""
    return _sum(lambda read: len(read.wrong))


def unsaid_losses() -> float | None:
    """Rows of all files that came to no row and no verdict."""
    return _sum(lambda read: read.unsaid)


def table() -> Iterator[str]:
    """The table of docs/sources.md: each upstream file, its rows, and what became of them."""
    yield "| file | rows | kept | refused |"
    yield "|---|---|---|---|"
    for read in every() or ():
        if not read.file.name.startswith("cases/"):
            refused = Counter(str(item.reason) for item in read.items if isinstance(item, Verdict))
            said = ", ".join(f"{count:,} `{reason}`" for reason, count in refused.most_common()) or "none"
            yield f"| `{read.file.name}` | {len(read.file.rows):,} | {len(read.items) - refused.total():,} | {said} |"


def _sum(count: Callable[[Read], int]) -> float | None:
    return None if (found := every()) is None else float(sum(map(count, found)))


@cache
def every() -> tuple[Read, ...] | None:
    """Every file, read; None where there are none."""
    root = others()
    return tuple(_read(file, root) for file in (*_real(root / "real"), *_cases(root))) if root else None


def others() -> Path | None:
    """The folder of others' files, if one is named."""
    name = os.environ.get("CAPCURRICULUM_OTHERS")
    return Path(name) if name else None


def _read(file: File, root: Path) -> Read:
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(root):  # where the paths of cases begin
        place = Place(registry.folder(file.section), file.section.name or "s", Store(Path(name)), "link/")
        try:
            return Read(file, list(registry.rows(file.section, place, file.stage, file.stage, set())))
        except SourceError as error:
            return Read(file, (), str(error))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8-sig").splitlines() if line.strip()]


def _real(folder: Path) -> Iterator[File]:
    def problems(path: str, stage: Stage, rows: list[dict[str, Any]], column: str, **columns: Any) -> File:
        section = {"kind": "problems", "path": str(folder / path), "columns": columns}
        return File(path, stage, SourceSection.model_validate(section), rows, lambda row: str(row[column]))

    for name in ("orz_math_57k_collected", "orz_math_57k_troy.first300"):
        path = folder / "orz" / f"{name}.json"
        rows = [{"problem": turns[0]["value"], "gold": turns[1]["ground_truth"]["value"]} for turns in _array(path)]
        section = SourceSection.model_validate({"kind": "orz", "path": str(path)})
        yield File(f"orz/{name}.json", Stage.TEXT, section, rows, lambda row: str(row["gold"]))
    yield problems("math500/test.jsonl", Stage.TEXT, _lines(folder / "math500/test.jsonl"), "answer")
    rows = _lines(folder / "gsm8k/slice300.jsonl")
    rows = [row | {"gold": row["answer"].split("####")[1]} for row in rows]
    columns = {"problem": "question", "gold": {"after": "####"}}
    yield problems("gsm8k/slice300.jsonl", Stage.TEXT, rows, "gold", **columns)
    rows = _lines(folder / "mathvision/slice20.jsonl")
    yield problems("mathvision", Stage.VISUAL, rows, "answer", problem="question", options="options")
    rows = _lines(folder / "pope/coco_pope_adversarial.json")
    yield problems("pope", Stage.VISUAL, rows, "label", problem="text", answer="label")
    section = SourceSection.model_validate(
        {"kind": "vlaa", "path": str(folder / "vlaa"), "parts": {"clevr_math": None, "arxivqa": None}}
    )
    rows = _array(folder / "vlaa/VLAA-Thinking-GRPO-25K.json")
    yield File("vlaa", Stage.VISUAL, section, rows, lambda row: str(row["gt"]))
    section = SourceSection.model_validate(
        {"kind": "captions", "path": str(folder / "iiw"), "columns": {"caption": "DOCCI"}}
    )
    yield File("iiw", Stage.PERCEPTION, section, _lines(folder / "iiw/DOCCI_Test.jsonl"), lambda row: "")


def _array(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text("utf-8"))
    return found


def _cases(root: Path) -> Iterator[File]:
    """The sources of problems of the cases' recipes."""
    for path in sorted((root / "cases").glob("*/*.yaml")):
        said = yaml.safe_load(path.read_text("utf-8"))
        for stage in (Stage.TEXT, Stage.VISUAL):
            source = (said.get(stage) or {}).get("source")
            if source:
                section = SourceSection.model_validate(source)
                yield File(path.relative_to(root).as_posix(), stage, section, _rows(root, section), _answer)


def _rows(root: Path, section: SourceSection) -> list[dict[str, Any]]:
    """A case's rows as they lie there, none where its bytes are the case."""
    base = root / section.path
    (path,) = [base] if base.is_file() else [base / (section.files or ("problems.jsonl",))[0]]
    try:
        text = path.read_text("utf-8-sig")
        return json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x]
    except ValueError:
        return []


def _answer(row: dict[str, Any]) -> str:
    return str(row.get("answer"))


def _truth(file: File, row: dict[str, Any], item: Question) -> str:
    said = next((truth for problem, truth in TRUTHS.items() if item.problem.startswith(problem)), None)
    return file.gold(row) if said is None else said


def _gold(item: Question) -> str:
    if not item.options:
        return item.answer
    return f"{item.answer}: {item.options['ABCDEFGHIJKLMNOPQRSTUVWXYZ'.index(item.answer)]}"


def _same(said: str, item: Question) -> bool:
    """Whether a row's gold is what its file says, in letter or text; spelling aside, also by math-verify."""
    letter, _, text = _gold(item).partition(": ") if item.options else ("", "", item.answer)
    named = match[1].upper() if (match := _LETTER.match(said)) else None
    return (bool(letter) and named == letter) or _plain(said) == _plain(text) or _equal(said, text)


def _plain(text: str) -> str:
    return re.sub(r"\s|\$|\\[ ,;!]|\.0?$|\\text(?=\{)", "", text).casefold()


def _equal(one: str, other: str) -> bool:
    from math_verify import parse, verify

    return bool(verify(parse(f"${one}$"), parse(f"${other}$")))


if __name__ == "__main__":
    print("\n".join(table()))
