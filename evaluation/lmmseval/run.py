"""Run lmms-eval through its command line and read its sample files.

It counts a failed request as a wrong answer. Here such a sample is failed, the benchmark has no score, and another run
requests only what the relay has no reply to.
"""

import json
from collections.abc import Mapping
from typing import Any

from capcurriculum.errors import EvaluationError
from capcurriculum.files import json_file
from capcurriculum.rows import Outcome
from capcurriculum.rows import digest as hashed
from evaluation import judges, kits, own_runner
from evaluation.benchmarks import scoring
from evaluation.benchmarks.benchmark import Item
from evaluation.benchmarks.images import ImageStore
from evaluation.job import Job
from evaluation.lmmseval.session import FILE, LAYOUTS, NAME, NO_REPLY, Session, Task, results_of
from evaluation.results import results, samples
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.serving.open import Endpoint
from evaluation.serving.relay import Upstream, lengths, relaying
from evaluation.suites import Entry
from training.supervise import watchdog


def prepare(job: Job, target: Target) -> tuple[Session, list[Task]]:
    """The session and its tasks.

    Raises:
        EvaluationError: lmms-eval is not installed, a benchmark cannot be evaluated by it, or the job names a judge.
    """
    session = job.session(Session, target)
    if job.judge and judges.resolve(job.judge, job.suite):
        raise EvaluationError("lmms-eval evaluates only what it grades without a judge; leave out --judge.")
    images = ImageStore(job.folder)
    return session, [_task(entry, job, images) for entry in job.suite.benchmarks]


def _task(entry: Entry, job: Job, images: ImageStore) -> Task:
    if entry.file is None:
        if entry.lmms not in LAYOUTS:
            raise EvaluationError(
                f"lmms-eval has no task for {entry.name} that it grades by itself and whose results are known here; "
                f"take another engine, or a suite with some of {', '.join(LAYOUTS)}."
            )
        if job.limit:
            raise EvaluationError("lmms-eval evaluates its own benchmarks as a whole; leave out --limit.")
        return Task(entry, entry.lmms, LAYOUTS[entry.lmms])
    benchmark = own_runner.loaded(entry, images, job.limit)
    if any(len(item.options) < 2 for item in benchmark.items if not item.fault):
        raise EvaluationError(
            f"With lmms-eval every sample of a file must have options, and {entry.file} has others; use --engine own."
        )
    return Task(entry, f"file_{benchmark.digest}", FILE, benchmark)


def run(job: Job, target: Target) -> list[State]:
    """Evaluate the tasks that are not done; returns the state of each benchmark.

    Raises:
        EvaluationError: lmms-eval is not installed, or a benchmark cannot be read.
    """
    session, tasks = prepare(job, target)
    known = {results.named(state): state for state in results.states(job.folder)}
    states = {task.name: known.get((target.label, job.suite.name, job.name(task.entry))) for task in tasks}
    finished = {name: state for name, state in states.items() if state and state.state == "done"}
    missing = [task for task in tasks if not _current(finished.get(task.name), session, task)]
    why = ""
    if missing:
        job.display.note(f"lmms-eval {session.kit.version} asks {target.label}; its log is {session.log}")
        try:
            with open.endpoint(target, job) as endpoint:
                for task in missing:
                    why = why or _ask(job, session, task, endpoint)
        except EvaluationError as error:
            why = str(error)
    return [_read(job, session, task, why) if task in missing else finished[task.name] for task in tasks]


def _current(state: State | None, session: Session, task: Task) -> bool:
    if state is None or state.setup != session.setup:
        return False
    return task.benchmark is None or state.benchmark_digest == task.benchmark.digest


def _ask(job: Job, session: Session, task: Task, endpoint: Endpoint) -> str:
    """Have lmms-eval ask and grade; returns "" or why that failed."""
    session.write(task, job.folder)
    upstream = Upstream(endpoint.url, open.key(session.target), session.system)
    with relaying(upstream, session.journal) as relay:
        argv = session.command(task, relay.url, endpoint.served)
        hub = () if task.benchmark else ("HF_TOKEN",)  # it downloads its own benchmarks from the Hub
        variables = session.variables(task) | kits.keys(relay.token)
        ended = kits.run(session.kit, argv, variables, session.folder, session.log, endpoint.ended, hub)
        return ended or (f"no reply from {session.target.label}: {relay.why}" if relay.failures else "")


def _read(job: Job, session: Session, task: Task, why: str) -> State:
    """Record the samples, the state and the score of a task."""
    benchmark = task.benchmark
    given = [item for item in benchmark.items if not item.fault] if benchmark else []
    digest = benchmark.digest if benchmark else hashed(NAME, session.kit.version, task.name)
    wanted = len(benchmark.items) if benchmark else 0
    begun = job.begun(session.target, task.entry, NAME, session.setup, digest, wanted)
    replies, rows = lengths(session.journal), []
    for sample in _samples(session, task):
        place = int(sample["doc_id"])
        item = given[place] if place < len(given) else _item(sample)
        rows.append(_row(begun, session, task, item, sample, replies))
    rows += scoring.faulty(begun, benchmark, session.target.weights)
    samples.update(job.folder, rows)
    value = _headline(session, task)
    fault = f"lmms-eval gave no score; see {session.log}." if rows and value is None else ""
    if not rows and not why:  # its exit code is 0 whatever happened
        why = f"lmms-eval left no results ({watchdog.last_error(session.log, 0)}); its log is {session.log}."
    # Its score counts failed samples as wrong, so no sample that was asked may have failed.
    most = (wanted - len(given)) / wanted if wanted else 0.0
    return scoring.keep(job.folder, begun, rows, task.layout.name, value, why, fault, most)


def _item(sample: Mapping[str, Any]) -> Item:
    """A sample of a benchmark of lmms-eval's own."""
    return Item(str(sample["doc_id"]), "", str(sample.get("input", "")), (), str(sample.get("target", "")), ())


def _samples(session: Session, task: Task) -> list[Mapping[str, Any]]:
    """The rows of the newest sample file."""
    found = results_of(session.output(task), f"*_samples_{task.name}.jsonl")
    if not found:
        return []
    try:
        return [json.loads(line) for line in found[-1].read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{found[-1]} of lmms-eval cannot be read ({error}); remove it and run again.") from error


def _headline(session: Session, task: Task) -> float | None:
    found = results_of(session.output(task), "*_results.json")
    try:
        return 100 * float(json_file.read(found[-1])["results"][task.name][task.layout.metric])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _row(
    begun: State,
    session: Session,
    task: Task,
    item: Item,
    sample: Mapping[str, Any],
    replies: Mapping[str, tuple[int | None, str]],
) -> Sample:
    reply = sample.get("resps", sample.get("filtered_resps", ""))
    while isinstance(reply, list):
        reply = reply[0] if reply else ""
    reply, letter = str(reply), str(sample.get("letter", ""))
    tokens, finish = replies.get(reply.strip(), (None, ""))
    outcome, detail = Outcome.RIGHT if task.layout.score(sample) >= 0.5 else Outcome.WRONG, ""
    if task.benchmark and not letter:
        outcome, detail = Outcome.UNPARSED, "no letter was found"
    if NO_REPLY in reply:
        reply, outcome, detail, finish, tokens = "", Outcome.FAILED, reply[:300], "error", None
    return scoring.sample(
        begun,
        item,
        session.target.weights,
        prediction=reply,
        answer=letter,
        outcome=outcome,
        detail=detail,
        finish=finish,
        tokens=tokens,
    )
