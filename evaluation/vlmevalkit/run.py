"""VLMEvalKit driven from outside: it asks, it grades with a judge that is known to be there, and its files are read.

Asking and grading are two runs of the kit, since it grades in silence by exact matching when the judge is down, and
keeps what came of that: nothing is graded before the judge has answered us, and what was graded while it failed goes.
"""

import glob
from collections.abc import Iterable, Sequence

from capcurriculum.errors import EvaluationError
from capcurriculum.rows import Outcome
from evaluation import judges, kits, own_runner
from evaluation.benchmarks import scoring
from evaluation.benchmarks.images import Pictures
from evaluation.benchmarks.scoring import JUDGE_GONE
from evaluation.job import Work
from evaluation.judges import Named
from evaluation.results import results, samples
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.serving.relay import Upstream, recorded, relaying
from evaluation.suites import Entry
from evaluation.vlmevalkit import read, tables
from evaluation.vlmevalkit.layouts import OF_FILES, layout
from evaluation.vlmevalkit.session import DISTRIBUTIONS, EXACT, HINT, JUDGE, NAME, Dataset, Session, setup

#: The kit's class that shows a prompt of the file's own, so that questions are asked in the words of training.
_CUSTOM = "CVBench"


def prepare(work: Work, target: Target) -> tuple[Session, list[Dataset], Named | None]:
    """The session, what is to be asked in it, and who judges.

    Raises:
        EvaluationError: the kit is not there, or a benchmark or a judge is not one.
    """
    kit = kits.find(NAME, DISTRIBUTIONS, work.interpreter(target), HINT, start=work.starts(target))
    named = judges.resolve(work.judge, work.suite)
    tokens = work.tokens(target)
    key = setup(kit, target, tokens)
    session = Session(kit, target, tokens, key, (work.folder / NAME / key).absolute(), work.concurrency)
    pictures = Pictures(work.folder)
    return session, [_dataset(entry, work, pictures) for entry in work.suite.benchmarks], named


def _dataset(entry: Entry, work: Work, pictures: Pictures) -> Dataset:
    if entry.file is None:
        if work.limit:
            raise EvaluationError("VLMEvalKit grades whole benchmarks of its own only; --limit is for files.")
        found = layout(entry.kit_class, entry.name)
        if found is None:
            raise EvaluationError(
                f"How VLMEvalKit leaves the results of {entry.name} ({entry.kit_class}) is not known."
            )
        return Dataset(entry, entry.name, entry.kit_class, found)
    benchmark = own_runner.loaded(entry, pictures, work.limit)
    if any(len(item.options) < 2 for item in tables.askable(benchmark)):
        raise EvaluationError(f"VLMEvalKit cannot grade {entry.file}: not every sample has options; use --engine own.")
    # Not the file's own name: words in it can make the kit ask or grade in another way.
    return Dataset(entry, f"tsv_{benchmark.digest}", _CUSTOM, OF_FILES, benchmark)


def run(work: Work, target: Target) -> list[State]:
    """Ask and grade what is not done; how far each benchmark then is.

    Raises:
        EvaluationError: the kit is not there, or a benchmark cannot be read.
    """
    session, datasets, named = prepare(work, target)
    open_ones = [one for one in datasets if not finished(work, session, one, named)]
    states = {}
    for batch in _batches(open_ones):
        why = _infer(work, session, batch)
        gone = _grade(work, session, [one for one in batch if read.complete(session, one)], named)
        for one in batch:
            states[one.name] = _read(work, session, one, named, why, gone)
    known = {results.named(state): state for state in results.states(work.folder)}
    return [states.get(one.name) or known[target.label, work.suite.name, work.name(one.entry)] for one in datasets]


def finished(work: Work, session: Session, dataset: Dataset, named: Named | None) -> bool:
    """Whether there is a score of just this, by this judge."""
    name = (session.target.label, work.suite.name, work.name(dataset.entry))
    state = next((one for one in results.states(work.folder) if results.named(one) == name), None)
    score = next((one for one in results.scores_in(work.folder) if results.named(one) == name), None)
    if state is None or score is None or state.state != "done":
        return False
    same = (state.setup, state.benchmark_digest) == (session.setup, read.digest_of(session, dataset))
    return same and score.judge == (named.name if named else "")


def _batches(datasets: Sequence[Dataset]) -> Iterable[list[Dataset]]:
    """Those of files and those of the kit, which lie in different data folders."""
    for own_files in (True, False):
        if batch := [one for one in datasets if (one.benchmark is not None) == own_files]:
            yield batch


def _infer(work: Work, session: Session, batch: Sequence[Dataset]) -> str:
    """Have the kit ask what it has no reply to; "" or why that ended early."""
    for one in batch:
        if one.benchmark is not None and not session.table(one).is_file():
            tables.write(session.table(one), one.benchmark, work.folder)
    missing = [one for one in batch if not read.complete(session, one)]
    if not missing:
        return ""
    names = ", ".join(work.name(one.entry) for one in missing)
    work.display.note(
        f"VLMEvalKit {session.kit.version} asks {session.target.label}: {names}; its log is {session.log}"
    )
    try:
        with open.endpoint(session.target, work) as endpoint:
            upstream = Upstream(endpoint.url, open.key(session.target))
            with relaying(upstream, session.journal) as relay:
                argv = session.infer(missing, relay.url, endpoint.served)
                told = session.variables(missing) | kits.keys(relay.token)
                ended = kits.run(session.kit, argv, told, session.folder, session.log, endpoint.ended)
                return ended or (f"no reply from {session.target.label}: {relay.why}" if relay.failures else "")
    except EvaluationError as error:
        return str(error)


def _grade(work: Work, session: Session, batch: Sequence[Dataset], named: Named | None) -> str:
    """Have the kit grade; "" or why the judge cannot be relied on."""
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
            work.display.note(f"{named.name} judges {session.target.label}")
            ended = _graded(session, batch, relay.url, relay.token)
            gone = f"the judge {named.name} failed {relay.failures} times ({relay.why})" if relay.failures else ""
    except EvaluationError as error:
        return str(error)
    if gone:
        for one in batch:
            _forget(session, one)
    return gone or ended


def _graded(session: Session, batch: Sequence[Dataset], url: str, token: str = "") -> str:
    argv, told = session.judge(batch, url), session.variables(batch)
    told |= kits.keys(token) if token else {}
    return kits.run(session.kit, argv, told, session.folder, session.log, lambda: "")


def _forget(session: Session, dataset: Dataset) -> None:
    """Remove what the kit found of a benchmark's replies, which it would take for the truth for ever."""
    for path in session.results.glob(glob.escape(f"{session.target.alias}_{dataset.name}_") + "*"):
        path.unlink()


def _read(work: Work, session: Session, dataset: Dataset, named: Named | None, why: str, gone: str) -> State:
    """Keep what there is now of a benchmark."""
    judge = JUDGE if named else EXACT
    found = {} if gone else read.judged(session, dataset, judge)
    waiting = f"{JUDGE_GONE}: {gone}" if gone else why
    told = {r["text"].strip(): (r["tokens"], r["finish"]) for r in recorded(session.journal).values()}
    rows = read.sample_rows(work, session, dataset, told, found, named.name if named else "", waiting)
    digest = read.digest_of(session, dataset)
    rows += _faulty(work, session, dataset)
    known = samples.known(work.folder, session.setup, digest)
    samples.append(work.folder, [row for row in rows if known.get(row.sample) != row])
    wanted = len(dataset.benchmark.items) if dataset.benchmark else max(len(rows), 1)
    begun = work.begun(session.target, dataset.entry, NAME, session.setup, digest, wanted)
    value = read.headline(session, dataset, judge) if found else None
    fault = _fault(session, dataset, named, bool(found), value)
    return scoring.keep(work.folder, begun, rows, dataset.layout.name, value, why, "" if gone else fault)


def _fault(session: Session, dataset: Dataset, named: Named | None, graded: bool, value: float | None) -> str:
    """What keeps the kit from a score although all replies are there, "" if nothing does."""
    if not read.complete(session, dataset):
        return ""
    if named is None and dataset.layout.needs_judge:
        return f"{dataset.entry.name} cannot be graded without a judge; name one with --judge."
    if not graded or value is None:
        said = tables.status(session.results / "status.json", dataset.name).get("error_message")
        return f"VLMEvalKit gave no score ({str(said)[:200] if said else f'see {session.log}'})."
    return ""


def _faulty(work: Work, session: Session, dataset: Dataset) -> list[Sample]:
    """The samples of a file that the kit was not given."""
    if dataset.benchmark is None:
        return []
    return [
        Sample(session.target.label, work.suite.name, work.name(dataset.entry), item.sample, session.setup,
               dataset.benchmark.digest, item.images, item.question, item.options, item.gold, "", "", Outcome.FAILED,
               item.fault, "error", None, "", NAME, session.target.weights, item.skill)
        for item in dataset.benchmark.items
        if item.fault
    ]  # fmt: skip
