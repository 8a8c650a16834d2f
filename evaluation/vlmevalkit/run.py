"""Run VLMEvalKit through its command line, with a judge that is known to answer, and read its files.

Asking and grading are two runs of the kit, because it falls back silently to exact matching when its judge is down and
keeps those grades: nothing is graded before the judge has answered a probe, and grades of a failing judge are removed.
"""

import glob
from collections.abc import Iterable, Sequence

from capcurriculum.errors import EvaluationError
from evaluation import judges, kits, own_runner
from evaluation.benchmarks import scoring
from evaluation.benchmarks.images import ImageStore
from evaluation.benchmarks.scoring import JUDGE_GONE
from evaluation.job import Job
from evaluation.judges import NamedJudge
from evaluation.results import results, samples
from evaluation.results.results import State
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.serving.relay import Upstream, relaying
from evaluation.suites import Entry
from evaluation.vlmevalkit import read, tables
from evaluation.vlmevalkit.layouts import OF_FILES, layout
from evaluation.vlmevalkit.session import EXACT, JUDGE, NAME, Dataset, Session

#: The kit's class that shows the prompts of a file, so that they are those of training.
_CUSTOM = "CVBench"


def prepare(job: Job, target: Target) -> tuple[Session, list[Dataset], NamedJudge | None]:
    """The session, its benchmarks, and the judge.

    Raises:
        EvaluationError: the kit is not installed, it cannot evaluate a benchmark, or there is no such judge.
    """
    session = job.session(Session, target)
    named = judges.resolve(job.judge, job.suite)
    images = ImageStore(job.folder)
    return session, [_dataset(entry, job, images) for entry in job.suite.benchmarks], named


def _dataset(entry: Entry, job: Job, images: ImageStore) -> Dataset:
    if entry.file is None:
        if job.limit:
            raise EvaluationError("VLMEvalKit grades its own benchmarks only as a whole; leave out --limit.")
        found = layout(entry.kit_class, entry.name)
        if found is None:
            raise EvaluationError(
                f"The results of VLMEvalKit's class {entry.kit_class!r} cannot be read; leave out {entry.name}."
            )
        return Dataset(entry, entry.name, entry.kit_class, found)
    benchmark = own_runner.loaded(entry, images, job.limit)
    if any(len(item.options) < 2 for item in tables.askable(benchmark)):
        raise EvaluationError(f"VLMEvalKit cannot grade {entry.file}: not every sample has options; use --engine own.")
    # Not the file's name, since some names change how the kit asks or grades.
    return Dataset(entry, f"tsv_{benchmark.digest}", _CUSTOM, OF_FILES, benchmark)


def run(job: Job, target: Target) -> list[State]:
    """Ask and grade what is not done; returns the state of each benchmark.

    Raises:
        EvaluationError: the kit is not installed, or a benchmark cannot be read.
    """
    session, datasets, named = prepare(job, target)
    open_ones = [one for one in datasets if not finished(job, session, one, named)]
    states = {}
    for batch in _batches(open_ones):
        why = _infer(job, session, batch)
        gone = _grade(job, session, [one for one in batch if read.complete(session, one)], named)
        for one in batch:
            states[one.name] = _read(job, session, one, named, why, gone)
    known = {results.named(state): state for state in results.states(job.folder)}
    return [states.get(one.name) or known[target.label, job.suite.name, job.name(one.entry)] for one in datasets]


def finished(job: Job, session: Session, dataset: Dataset, named: NamedJudge | None) -> bool:
    """Whether there is a score of this set-up and content by this judge."""
    name = (session.target.label, job.suite.name, job.name(dataset.entry))
    state = next((one for one in results.states(job.folder) if results.named(one) == name), None)
    score = next((one for one in results.scores_in(job.folder) if results.named(one) == name), None)
    if state is None or score is None or state.state != "done":
        return False
    same = (state.setup, state.benchmark_digest) == (session.setup, read.digest_of(session, dataset))
    return same and score.judge == (named.name if named else "")


def _batches(datasets: Sequence[Dataset]) -> Iterable[list[Dataset]]:
    """Files and the kit's own benchmarks, which have different data folders."""
    for own_files in (True, False):
        if batch := [one for one in datasets if (one.benchmark is not None) == own_files]:
            yield batch


def _infer(job: Job, session: Session, batch: Sequence[Dataset]) -> str:
    """Have the kit ask for missing replies; returns "" or why that ended early."""
    for one in batch:
        if one.benchmark is not None and not session.table(one).is_file():
            tables.write(session.table(one), one.benchmark, job.folder)
    missing = [one for one in batch if not read.complete(session, one)]
    if not missing:
        return ""
    names = ", ".join(job.name(one.entry) for one in missing)
    job.display.note(f"VLMEvalKit {session.kit.version} asks {session.target.label}: {names}; its log is {session.log}")
    try:
        with open.endpoint(session.target, job) as endpoint:
            upstream = Upstream(endpoint.url, open.key(session.target))
            with relaying(upstream, session.journal) as relay:
                argv = session.infer(missing, relay.url, endpoint.served)
                variables = session.variables(missing) | kits.keys(relay.token)
                ended = kits.run(session.kit, argv, variables, session.folder, session.log, endpoint.ended)
                return ended or (f"no reply from {session.target.label}: {relay.why}" if relay.failures else "")
    except EvaluationError as error:
        return str(error)


def _grade(job: Job, session: Session, batch: Sequence[Dataset], named: NamedJudge | None) -> str:
    """Have the kit grade; returns "" or why its grades cannot be used."""
    if named is None:
        batch = [one for one in batch if not one.layout.needs_judge]
    if not batch:
        return ""
    for one in batch:
        _forget(session, one)
    if named is None:
        return _graded(session, batch, "")
    try:
        with judges.sitting(named, session.kit, session.folder) as relay:
            job.display.note(f"{named.name} judges {session.target.label}")
            ended = _graded(session, batch, relay.url, relay.token)
            gone = f"the judge {named.name} failed {relay.failures} times ({relay.why})" if relay.failures else ""
    except EvaluationError as error:
        return str(error)
    if gone:
        for one in batch:
            _forget(session, one)
    return gone or ended


def _graded(session: Session, batch: Sequence[Dataset], url: str, token: str = "") -> str:
    argv, variables = session.judge(batch, url), session.variables(batch)
    variables |= kits.keys(token) if token else {}
    return kits.run(session.kit, argv, variables, session.folder, session.log, lambda: "")


def _forget(session: Session, dataset: Dataset) -> None:
    """Remove the kit's grades of a benchmark, which it would use again."""
    for path in session.results.glob(glob.escape(f"{session.target.alias}_{dataset.name}_") + "*"):
        path.unlink()


def _read(job: Job, session: Session, dataset: Dataset, named: NamedJudge | None, why: str, gone: str) -> State:
    """Record the samples, the state and the score of a benchmark."""
    judge = JUDGE if named else EXACT
    found = {} if gone else read.judged(session, dataset, judge)
    waiting = f"{JUDGE_GONE}: {gone}" if gone else why
    wanted = len(dataset.benchmark.items) if dataset.benchmark else 0
    digest = read.digest_of(session, dataset)
    begun = job.begun(session.target, dataset.entry, NAME, session.setup, digest, wanted)
    rows = read.sample_rows(job, session, begun, dataset, found, named.name if named else "", waiting)
    rows += scoring.faulty(begun, dataset.benchmark, session.target.weights)
    samples.update(job.folder, rows)
    value = read.headline(session, dataset, judge) if found else None
    fault = _fault(session, dataset, named, bool(found), value)
    return scoring.keep(job.folder, begun, rows, dataset.layout.name, value, why, "" if gone else fault)


def _fault(session: Session, dataset: Dataset, named: NamedJudge | None, graded: bool, value: float | None) -> str:
    """Why the kit gave no score although all replies are there, "" for none."""
    if not read.complete(session, dataset):
        return ""
    if named is None and dataset.layout.needs_judge:
        return f"{dataset.entry.name} cannot be graded without a judge; name one with --judge."
    if not graded or value is None:
        reason = tables.status(session.results / "status.json", dataset.name).get("error_message")
        return f"VLMEvalKit gave no score ({str(reason)[:200] if reason else f'see {session.log}'})."
    return ""
