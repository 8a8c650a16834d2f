"""lmms-eval driven by its command line, and its sample files read back.

It counts a request that failed as a wrong answer; here such a sample has failed, the benchmark has no score, and
running again asks only what the relay has no reply to.
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
from evaluation.benchmarks.images import Pictures
from evaluation.job import Work
from evaluation.lmmseval.session import (
    DISTRIBUTIONS,
    FILE,
    HINT,
    LAYOUTS,
    NAME,
    NO_REPLY,
    Session,
    Task,
    results_of,
    setup,
)
from evaluation.results import results, samples
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.serving.open import Endpoint
from evaluation.serving.relay import Upstream, recorded, relaying
from evaluation.suites import Entry
from training.supervise import watchdog


def prepare(work: Work, target: Target) -> tuple[Session, list[Task]]:
    """The session, and what is to be asked in it.

    Raises:
        EvaluationError: lmms-eval is not there, a benchmark is not one, or a judge was asked for.
    """
    kit = kits.find(NAME, DISTRIBUTIONS, work.interpreter(target), HINT, start=work.starts(target))
    if work.judge and judges.resolve(work.judge, work.suite):
        raise EvaluationError("With lmms-eval only what it grades by itself is evaluated; leave out --judge.")
    tokens = work.tokens(target)
    key = setup(kit, target, tokens)
    session = Session(kit, target, tokens, key, (work.folder / NAME / key).absolute(), work.concurrency)
    pictures = Pictures(work.folder)
    return session, [_task(entry, work, pictures) for entry in work.suite.benchmarks]


def _task(entry: Entry, work: Work, pictures: Pictures) -> Task:
    if entry.file is None:
        if entry.lmms not in LAYOUTS:
            raise EvaluationError(
                f"lmms-eval has no task for {entry.name} that it grades by itself and whose results are known here; "
                f"take another engine, or a suite with some of {', '.join(LAYOUTS)}."
            )
        if work.limit:
            raise EvaluationError("--limit is for files; lmms-eval's own benchmarks are asked whole.")
        return Task(entry, entry.lmms, LAYOUTS[entry.lmms])
    benchmark = own_runner.loaded(entry, pictures, work.limit)
    if any(len(item.options) < 2 for item in benchmark.items if not item.fault):
        raise EvaluationError(
            f"With lmms-eval a file's samples must have options, and {entry.file} has others; use own."
        )
    return Task(entry, f"file_{benchmark.digest}", FILE, benchmark)


def run(work: Work, target: Target) -> list[State]:
    """Ask what is not done; how far each benchmark then is.

    Raises:
        EvaluationError: lmms-eval is not there, or a benchmark cannot be read.
    """
    session, tasks = prepare(work, target)
    known = {results.named(state): state for state in results.states(work.folder)}
    states = {task.name: known.get((target.label, work.suite.name, work.name(task.entry))) for task in tasks}
    missing = [task for task in tasks if not _finished(states[task.name], session, task)]
    why = ""
    if missing:
        work.display.note(f"lmms-eval {session.kit.version} asks {target.label}; its log is {session.log}")
        try:
            with open.endpoint(target, work) as endpoint:
                for task in missing:
                    why = why or _ask(work, session, task, endpoint)
        except EvaluationError as error:
            why = str(error)
    return [_read(work, session, task, why) if task in missing else _there(states[task.name]) for task in tasks]


def _there(state: State | None) -> State:
    assert state is not None
    return state


def _finished(state: State | None, session: Session, task: Task) -> bool:
    if state is None or state.state != "done" or state.setup != session.setup:
        return False
    return task.benchmark is None or state.benchmark_digest == task.benchmark.digest


def _ask(work: Work, session: Session, task: Task, endpoint: Endpoint) -> str:
    """Have lmms-eval ask and grade; "" or why that failed."""
    session.write(task, work.folder)
    upstream = Upstream(endpoint.url, open.key(session.target), session.system)
    with relaying(upstream, session.journal) as relay:
        argv = session.command(task, relay.url, endpoint.served)
        hub = () if task.benchmark else ("HF_TOKEN",)  # it fetches benchmarks of its own from there
        told = session.variables(task) | kits.keys(relay.token)
        ended = kits.run(session.kit, argv, told, session.folder, session.log, endpoint.ended, hub)
        return ended or (f"no reply from {session.target.label}: {relay.why}" if relay.failures else "")


def _read(work: Work, session: Session, task: Task, why: str) -> State:
    """Keep what there is now of a benchmark."""
    given = [item for item in task.benchmark.items if not item.fault] if task.benchmark else []
    digest = task.benchmark.digest if task.benchmark else hashed(NAME, session.kit.version, task.name)
    told = {one["text"].strip(): (one["tokens"], one["finish"]) for one in recorded(session.journal).values()}
    rows = []
    for sample in _samples(session, task):
        place = int(sample["doc_id"])
        item = given[place] if place < len(given) else None
        rows.append(_row(work, session, task, digest, item, sample, told))
    if task.benchmark:
        rows += [_faulty(work, session, task, item) for item in task.benchmark.items if item.fault]
    known = samples.known(work.folder, session.setup, digest)
    samples.append(work.folder, [row for row in rows if known.get(row.sample) != row])
    wanted = len(task.benchmark.items) if task.benchmark else max(len(rows), 1)
    begun = work.begun(session.target, task.entry, NAME, session.setup, digest, wanted)
    value = _headline(session, task)
    fault = f"lmms-eval gave no score; see {session.log}." if rows and value is None else ""
    if not rows and not why:  # it ends well whatever happened to it
        why = f"lmms-eval left no results ({watchdog.last_error(session.log, 0)}); its log is {session.log}."
    # Its score counts what failed as wrong, so none of those that were asked may have.
    most = (wanted - len(given)) / wanted if task.benchmark else 0.0
    return scoring.keep(work.folder, begun, rows, task.layout.name, value, why, fault, most)


def _samples(session: Session, task: Task) -> list[Mapping[str, Any]]:
    """The newest sample file's rows."""
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
        told = json_file.read(found[-1])["results"][task.name][task.layout.metric]
        return 100 * float(told)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _row(
    work: Work,
    session: Session,
    task: Task,
    digest: str,
    item: Item | None,
    sample: Mapping[str, Any],
    told: Mapping[str, tuple[int | None, str]],
) -> Sample:
    reply = _text(sample.get("resps", sample.get("filtered_resps", "")))
    tokens, finish = told.get(reply.strip(), (None, ""))
    failed = NO_REPLY in reply
    outcome = Outcome.RIGHT if task.layout.right(sample) >= 0.5 else Outcome.WRONG
    letter = str(sample.get("letter", ""))
    if task.benchmark and not letter:
        outcome = Outcome.UNPARSED
    return Sample(
        model=session.target.label,
        suite=work.suite.name,
        benchmark=work.name(task.entry),
        sample=item.sample if item else str(sample["doc_id"]),
        setup=session.setup,
        benchmark_digest=digest,
        images=item.images if item else (),
        question=item.question if item else str(sample.get("input", "")),
        options=item.options if item else (),
        gold=item.gold if item else str(sample.get("target", "")),
        prediction="" if failed else reply,
        answer=letter,
        outcome=Outcome.FAILED if failed else outcome,
        detail=reply[:300] if failed else "no letter was found" if outcome is Outcome.UNPARSED else "",
        finish="error" if failed else finish,
        tokens=None if failed else tokens,
        engine=NAME,
        weights=session.target.weights,
        skill=item.skill if item else "",
    )


def _faulty(work: Work, session: Session, task: Task, item: Item) -> Sample:
    assert task.benchmark is not None
    return Sample(session.target.label, work.suite.name, work.name(task.entry), item.sample, session.setup,
                  task.benchmark.digest, item.images, item.question, item.options, item.gold, "", "", Outcome.FAILED,
                  item.fault, "error", None, "", NAME, session.target.weights, item.skill)  # fmt: skip


def _text(reply: Any) -> str:
    """A reply that may stand in lists."""
    while isinstance(reply, list):
        reply = reply[0] if reply else ""
    return str(reply)
