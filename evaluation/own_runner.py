"""The own runner: benchmark files asked through the project's engines and graded as in training.

Messages, request and grade are those of rollouts and rewards (`datagen.solver`), so a score means what a pass rate
means. A reply is on disk as soon as it arrives and is never requested again.
"""

from pathlib import Path

from capcurriculum import journal, prompts
from capcurriculum.errors import EngineError, EvaluationError
from capcurriculum.rows import Message, Outcome, Question, Request, Response, Sampling, digest
from capcurriculum.run import Run
from capcurriculum.tables import Table
from datagen.asking.ask_missing import Line, ask_missing
from datagen.asking.meter import Meter
from datagen.asking.outcomes import Heard
from datagen.engines.protocol import Engine
from datagen.solver import graded
from evaluation.benchmarks import scoring, stage_files, tsv
from evaluation.benchmarks.benchmark import Benchmark, Item
from evaluation.benchmarks.images import ImageStore
from evaluation.job import Job
from evaluation.judges import EXACT
from evaluation.results import samples
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.suites import Entry

NAME = "own"
_VERSION = 1  # of how a sample is asked


class Asking:
    """The samples of one benchmark for one model, as an `ask_missing.Job`."""

    def __init__(self, job: Job, entry: Entry, target: Target, benchmark: Benchmark) -> None:
        """Read the known samples of the evaluation folder."""
        self.folder, self.target, self.benchmark = job.folder, target, benchmark
        self.sampling = Sampling(temperature=0.0, max_tokens=job.tokens(target))
        # All that can change a reply: equal set-ups share their replies.
        self.setup = digest(NAME, _VERSION, *target.identity, self.sampling.json())
        self.begun = job.begun(target, entry, NAME, self.setup, benchmark.digest, len(benchmark.items))
        self.known: dict[str, Sample] = {}
        self.remember(job.folder)
        look = f"the column detail of {samples.table(job.folder).folder} has all reasons"
        # Samples that failed before are asked again, and may well fail again although all others were answered.
        proven = any(row.outcome != Outcome.FAILED for row in self.known.values())
        self.heard = Heard(f"evaluate {self.begun.benchmark}", target.label, look, proven=proven)

    def remember(self, folder: Path) -> None:
        """Read the known samples of an evaluation folder."""
        self.known = samples.known(folder, self.setup, self.benchmark.digest)

    def done(self, item: Item) -> bool:
        """Whether there is a reply, or never will be one."""
        row = self.known.get(item.sample)
        return row is not None and (row.outcome != Outcome.FAILED or bool(item.fault))

    def request(self, item: Item) -> Request:
        """The request for a sample."""
        system = (Message("system", prompts.system()),) if self.target.system else ()
        messages = (*system, Message("user", item.problem, images=len(item.images)))
        images = tuple((Path(name).stem, str(self.folder / name)) for name in item.images)
        return Request.make(self.setup, messages, self.sampling, images=images)

    def row(self, item: Item, response: Response) -> Sample:
        """The graded reply."""
        question = Question(
            item.sample, "", item.problem, item.gold, item.options, "", "", "", "", "", "", "", kind=item.kind
        )
        outcome, answer, detail = graded(question, response)
        row = scoring.sample(
            self.begun,
            item,
            self.target.weights,
            prediction=response.text,
            answer=answer,
            outcome=outcome,
            detail=detail,
            finish=response.finish,
            tokens=response.tokens_out if response.finish != "error" else None,
        )
        self.known[item.sample] = row
        return row

    @property
    def table(self) -> Table[Sample]:
        """Where the rows go."""
        return samples.table(self.folder)

    @property
    def missing(self) -> int:
        """How many samples are to be asked."""
        return sum(not (item.fault or self.done(item)) for item in self.benchmark.items)

    def mark_faulty(self) -> None:
        """Record the samples that cannot be asked."""
        rows = scoring.faulty(self.begun, self.benchmark, self.target.weights)
        new = {row.sample: row for row in rows if row.sample not in self.known}
        self.known |= new
        samples.append(self.folder, new.values())

    def rows(self) -> list[Sample]:
        """All known samples, in the order of the benchmark."""
        return [self.known[item.sample] for item in self.benchmark.items if item.sample in self.known]


def loaded(entry: Entry, images: ImageStore, limit: int | None) -> Benchmark:
    """The benchmark of an entry; raises `EvaluationError` if it has no file, or one that cannot be read."""
    if entry.file is None:
        raise EvaluationError(
            f"{entry.name} is a benchmark of the evaluation kits, and the own runner asks files; give --engine "
            "vlmevalkit, or a suite with its file."
        )
    if entry.file.suffix.lower() == ".tsv":
        return tsv.read(entry.file, images, limit)
    return stage_files.read(entry.file, images, limit, entry.name)


def prepared(job: Job, target: Target) -> list[Asking]:
    """Every benchmark with its known samples.

    Raises:
        EvaluationError: a benchmark cannot be read, or the job names a judge.
    """
    if job.judge and job.judge != EXACT:
        raise EvaluationError("The own runner grades as training does, without a judge; leave out --judge.")
    journal.take_over(samples.table(job.folder))
    images = ImageStore(job.folder)
    found = [(entry, loaded(entry, images, job.limit)) for entry in job.suite.benchmarks]
    return [Asking(job, entry, target, benchmark) for entry, benchmark in found]


def run(job: Job, target: Target) -> list[State]:
    """Ask a model for the missing samples; returns the state of each benchmark, also where the model cannot be used.

    Raises:
        EvaluationError: a benchmark cannot be read.
    """
    askings = prepared(job, target)
    why = ""
    if any(asking.missing for asking in askings):
        try:
            with open.engine(target, job) as engine:
                for asking in askings:
                    _ask(asking, engine, job)
        except (EngineError, EvaluationError) as error:
            why = str(error)
            for asking in askings:
                asking.remember(job.folder)  # failures that stopped the model were not written
    for asking in askings:
        asking.mark_faulty()
    return [scoring.keep(job.folder, asking.begun, asking.rows(), why=why) for asking in askings]


def _ask(asking: Asking, engine: Engine, job: Job) -> None:
    total, label = len(asking.benchmark.items), asking.target.label
    line = Line(job.display, f"{label}, {asking.begun.benchmark}", total, total - asking.missing)
    meter = Meter(Run(job.folder), "evaluate", label, engine.traffic)
    items = (item for item in asking.benchmark.items if not item.fault)
    ask_missing(items, asking, engine, meter, line)
