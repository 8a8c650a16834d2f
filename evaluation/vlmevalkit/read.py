"""Read VLMEvalKit's result files: every reply with its grade, and the headline number."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from capcurriculum.errors import EvaluationError
from capcurriculum.rows import Outcome
from evaluation import kits
from evaluation.benchmarks import scoring, tsv
from evaluation.benchmarks.benchmark import Item
from evaluation.benchmarks.images import ImageStore
from evaluation.benchmarks.scoring import JUDGE_GONE
from evaluation.job import Job
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving.relay import lengths
from evaluation.vlmevalkit import tables
from evaluation.vlmevalkit.layouts import NO_REPLY, Found, Row, metric
from evaluation.vlmevalkit.session import Dataset, Session

#: Reply -> its length in tokens and its finish reason.
Lengths = Mapping[str, tuple[int | None, str]]


def predictions(session: Session, dataset: Dataset) -> dict[str, Row]:
    """The kit's index -> its row with the reply; empty before there is a file."""
    path = session.file(dataset)
    return {row["index"]: row for row in tables.rows(path)} if path.is_file() else {}


def complete(session: Session, dataset: Dataset) -> bool:
    """Whether the kit has a reply to every sample, which it needs to grade any."""
    found = predictions(session, dataset)
    missing = any(NO_REPLY in row.get("prediction", "") for row in found.values())
    expected = len(tables.askable(dataset.benchmark)) if dataset.benchmark else len(found)
    return bool(found) and not missing and len(found) == expected


def digest_of(session: Session, dataset: Dataset) -> str:
    """The digest of a benchmark, for the kit's own that of its file ("" before it is downloaded)."""
    if dataset.benchmark is not None:
        return dataset.benchmark.digest
    path = session.table(dataset)
    if not path.is_file():
        return ""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def judged(session: Session, dataset: Dataset, judge: str) -> dict[str, Found]:
    """The kit's index -> the grade of the reply; empty where nothing was graded.

    Raises:
        EvaluationError: the kit's check fails.
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
        reason = (done.stderr.strip().splitlines() or ["no error message"])[-1][:200]
        raise EvaluationError(f"VLMEvalKit cannot check {path} ({reason}).") from error
    return {str(index): bool(hit) for index, hit in found.items()}


def headline(session: Session, dataset: Dataset, judge: str) -> float | None:
    """The kit's headline number in percent; None where it gave none."""
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
    job: Job, session: Session, begun: State, dataset: Dataset, found: Mapping[str, Found], judge: str, why: str
) -> list[Sample]:
    """A row for every sample that was given to the kit; `why` is the reason why replies were not graded, or ""."""
    items, replies = _items(job, session, dataset), lengths(session.journal)
    rows = []
    for index, row in predictions(session, dataset).items():
        item = items.get(index) or Item(
            index, "", row.get("question", ""), tsv.options(row), row.get("answer", ""), (), row.get("category", "")
        )
        reply = row.get("prediction", "")
        failed = NO_REPLY in reply
        tokens, finish = replies.get(reply.strip(), (None, ""))
        outcome, answer, detail = _outcome(reply, finish, found.get(index), why)
        rows.append(
            scoring.sample(
                begun,
                item,
                session.target.weights,
                prediction="" if failed else reply,
                answer=answer,
                outcome=outcome,
                detail=detail,
                finish="error" if failed else finish,
                tokens=tokens,
                judge=judge,
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


def _items(job: Job, session: Session, dataset: Dataset) -> dict[str, Item]:
    """The kit's index -> the sample."""
    if dataset.benchmark is not None:
        return {str(place): item for place, item in enumerate(tables.askable(dataset.benchmark))}
    try:
        benchmark = tsv.read(session.table(dataset), ImageStore(job.folder))
    except EvaluationError:
        return {}  # a table of another format: its replies are recorded without images
    return {item.sample: item for item in benchmark.items}
