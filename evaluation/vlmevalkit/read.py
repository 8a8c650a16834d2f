"""What VLMEvalKit left behind as rows of our own: every reply, what it is worth, and the kit's headline number."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import ascii_uppercase

from capcurriculum.errors import EvaluationError
from capcurriculum.rows import Outcome
from evaluation import kits
from evaluation.benchmarks import tsv
from evaluation.benchmarks.benchmark import Item
from evaluation.benchmarks.images import Pictures
from evaluation.benchmarks.scoring import JUDGE_GONE
from evaluation.job import Work
from evaluation.results.samples import Sample
from evaluation.vlmevalkit import tables
from evaluation.vlmevalkit.layouts import NO_REPLY, Found, Row, metric
from evaluation.vlmevalkit.session import NAME, Dataset, Session

#: Reply -> its length in tokens and why it ended.
Told = Mapping[str, tuple[int | None, str]]


def predictions(session: Session, dataset: Dataset) -> dict[str, Row]:
    """The kit's index -> its row of replies; none where the kit did not get so far."""
    path = session.prediction(dataset)
    return {row["index"]: row for row in tables.rows(path)} if path.is_file() else {}


def complete(session: Session, dataset: Dataset) -> bool:
    """Whether the kit has a reply to every sample, without which it grades none."""
    found = predictions(session, dataset)
    missing = any(NO_REPLY in row.get("prediction", "") for row in found.values())
    expected = len(tables.askable(dataset.benchmark)) if dataset.benchmark else len(found)
    return bool(found) and not missing and len(found) == expected


def digest_of(session: Session, dataset: Dataset) -> str:
    """The digest of a benchmark's content: of ours, or of the kit's own file ("" before it is there)."""
    if dataset.benchmark is not None:
        return dataset.benchmark.digest
    path = session.table(dataset)
    if not path.is_file():
        return ""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def judged(session: Session, dataset: Dataset, judge: str) -> dict[str, Found]:
    """The kit's index -> what it found of the reply; empty where nothing was graded.

    Raises:
        EvaluationError: the kit's own check fails.
    """
    path = session.file(dataset, dataset.layout.judged.format(judge=judge))
    if not path.is_file():
        return {}
    hits = _hits(session, dataset, path) if dataset.layout.hits else {}
    found = {}
    for row in tables.rows(path):
        index = row["index"]
        found[index] = dataset.layout.found(row | {"hit": str(hits[index])} if index in hits else row)
    return found


def _hits(session: Session, dataset: Dataset, path: Path) -> dict[str, bool]:
    script = Path(__file__).with_name("hits.py")
    words = [session.kit.python, str(script), dataset.layout.hits, str(path)]
    done = subprocess.run(words, env=kits.environment({}), capture_output=True, text=True)
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1][:200]
        raise EvaluationError(f"VLMEvalKit cannot check {path} ({said}).") from error
    return {str(index): bool(hit) for index, hit in found.items()}


def headline(session: Session, dataset: Dataset, judge: str) -> float | None:
    """The kit's number in percent, None where it gave none."""
    layout = dataset.layout
    if not layout.table:
        return metric(layout, tables.status(session.results / "status.json", dataset.name).get("metrics") or {})
    path = session.file(dataset, layout.table.format(judge=judge), "csv")
    if not path.is_file():
        return None
    rows = list(tables.rows(path))
    try:
        return float(rows[0][layout.metric].strip().rstrip("%")) * layout.scale
    except (IndexError, KeyError, ValueError):
        return None


def sample_rows(
    work: Work, session: Session, dataset: Dataset, told: Told, found: Mapping[str, Found], judge: str, why: str
) -> list[Sample]:
    """A row for every sample that the kit was given. `why` is what kept replies from being graded, or "" ."""
    items = _items(work, session, dataset)
    digest = digest_of(session, dataset)
    rows = []
    for index, row in predictions(session, dataset).items():
        item = items.get(index)
        reply = row.get("prediction", "")
        tokens, finish = told.get(reply.strip(), (None, ""))
        outcome, answer, detail = _outcome(reply, finish, found.get(index), why)
        rows.append(
            Sample(
                model=session.target.label,
                suite=work.suite.name,
                benchmark=work.name(dataset.entry),
                sample=item.sample if item else index,
                setup=session.setup,
                benchmark_digest=digest,
                images=item.images if item else (),
                question=item.question if item else row.get("question", ""),
                options=item.options if item else _options(row),
                gold=item.gold if item else row.get("answer", ""),
                prediction="" if NO_REPLY in reply else reply,
                answer=answer,
                outcome=outcome,
                detail=detail,
                finish="error" if NO_REPLY in reply else finish,
                tokens=tokens,
                judge=judge,
                engine=NAME,
                weights=session.target.weights,
                skill=item.skill if item else row.get("category", ""),
            )
        )
    return rows


def _outcome(reply: str, finish: str, found: Found | None, why: str) -> Found:
    if NO_REPLY in reply:
        return Outcome.FAILED, "", why or "the kit got no reply"
    if found is None:
        return Outcome.FAILED, "", why or f"{JUDGE_GONE}: the kit has not graded it"
    outcome, answer, detail = found
    if finish == "length":
        detail = "; ".join(part for part in (detail, "cut off at max_tokens") if part)
    return outcome, answer, detail


def _items(work: Work, session: Session, dataset: Dataset) -> dict[str, Item]:
    """The kit's index -> the sample."""
    if dataset.benchmark is not None:
        return {str(place): item for place, item in enumerate(tables.askable(dataset.benchmark))}
    try:
        read = tsv.read(session.table(dataset), Pictures(work.folder))
    except EvaluationError:
        return {}  # a table of another form: its replies are told without their pictures
    return {item.sample: item for item in read.items}


def _options(row: Row) -> tuple[str, ...]:
    options = []
    for letter in ascii_uppercase:
        if not row.get(letter, ""):
            break
        options.append(row[letter])
    return tuple(options)
