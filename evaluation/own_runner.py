"""The own runner: benchmark files asked through the project's engines and graded as training grades.

The turns, the request and the grade are those of rollouts and rewards (`datagen.solver`), so a score means what a pass
rate means. A reply is on disk as soon as it is there, and what is there is never asked again.
"""

from dataclasses import dataclass
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
from evaluation.benchmarks.images import Pictures
from evaluation.job import Work
from evaluation.results import samples
from evaluation.results.results import State
from evaluation.results.samples import Sample
from evaluation.serving import open
from evaluation.serving.models import Target
from evaluation.suites import Entry

NAME = "own"
#: The judge that is none.
EXACT = "exact"
_VERSION = 1  # of how a sample is asked


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked how: the same values make the same `setup`, whose replies need not be asked for again."""

    target: Target
    sampling: Sampling

    @property
    def setup(self) -> str:
        """Digest of all that can change a reply: weights (else the name), system turn, sampling."""
        who = self.target.weights or [self.target.label, self.target.model]
        system = prompts.digest("system") if self.target.system else ""
        return digest(NAME, _VERSION, who, system, self.sampling.json())


class Asking:
    """The samples of one benchmark for one model, as `ask_missing` takes them."""

    def __init__(self, work: Work, entry: Entry, asked: Asked, benchmark: Benchmark) -> None:
        self.folder, self.asked, self.benchmark = work.folder, asked, benchmark
        self.begun = work.begun(asked.target, entry, NAME, asked.setup, benchmark.digest, len(benchmark.items))
        self.known: dict[str, Sample] = {}
        self.remember(work.folder)
        look = f"the column detail of {samples.table(work.folder).folder} has all reasons"
        # Those that failed before are asked again, and may well fail again while all others were answered.
        proven = any(row.outcome != Outcome.FAILED for row in self.known.values())
        self.heard = Heard(f"evaluate {self.begun.benchmark}", asked.target.label, look, proven=proven)

    def remember(self, folder: Path) -> None:
        """Read what an evaluation folder holds of it."""
        self.known = samples.known(folder, self.asked.setup, self.benchmark.digest)

    def done(self, item: Item) -> bool:
        """Whether there is a reply, or never will be one."""
        row = self.known.get(item.sample)
        return row is not None and (row.outcome != Outcome.FAILED or bool(item.fault))

    def request(self, item: Item) -> Request:
        """What the engine is asked."""
        system = (Message("system", prompts.system()),) if self.asked.target.system else ()
        turns = (*system, Message("user", item.problem, images=len(item.images)))
        shown = tuple((Path(name).stem, str(self.folder / name)) for name in item.images)
        return Request.make(self.asked.setup, turns, self.asked.sampling, images=shown)

    def row(self, item: Item, response: Response) -> Sample:
        """The graded reply."""
        row = self._row(item, response, graded(_question(item), response))
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

    def mark_faulty(self) -> int:
        """Note the samples that cannot be asked; returns how many were not noted before."""
        faulty = [item for item in self.benchmark.items if item.fault and item.sample not in self.known]
        nothing = Response("", "", "error")
        rows = [self._row(item, nothing, (Outcome.FAILED, "", item.fault)) for item in faulty]
        self.known |= {row.sample: row for row in rows}
        return samples.append(self.folder, rows)

    def rows(self) -> list[Sample]:
        """All that is known, in the benchmark's order."""
        return [self.known[item.sample] for item in self.benchmark.items if item.sample in self.known]

    def _row(self, item: Item, response: Response, found: tuple[Outcome, str, str]) -> Sample:
        outcome, answer, detail = found
        return Sample(
            model=self.asked.target.label,
            suite=self.begun.suite,
            benchmark=self.begun.benchmark,
            sample=item.sample,
            setup=self.asked.setup,
            benchmark_digest=self.benchmark.digest,
            images=item.images,
            question=item.question,
            options=item.options,
            gold=item.gold,
            prediction=response.text,
            answer=answer,
            outcome=outcome,
            detail=detail,
            finish=response.finish,
            tokens=response.tokens_out if response.finish != "error" else None,
            engine=NAME,
            weights=self.asked.target.weights,
            skill=item.skill,
        )


def _question(item: Item) -> Question:
    """The sample as the grader of rollouts takes it."""
    return Question(item.sample, "", item.problem, item.gold, item.options, "", "", "", "", "", "", "", kind=item.kind)


def loaded(entry: Entry, pictures: Pictures, limit: int | None) -> Benchmark:
    """The benchmark of an entry.

    Raises:
        EvaluationError: it is no file, or one that cannot be read.
    """
    if entry.file is None:
        raise EvaluationError(
            f"{entry.name} is a benchmark that the kits bring along; the own runner asks files. Give "
            "--engine vlmevalkit, or a suite with its file."
        )
    if entry.file.suffix.lower() == ".tsv":
        return tsv.read(entry.file, pictures, limit)
    return stage_files.read(entry.file, pictures, limit, entry.name)


def prepared(work: Work, target: Target) -> list[Asking]:
    """Every benchmark with what is known of it.

    Raises:
        EvaluationError: one cannot be read, or a judge was asked for.
    """
    if work.judge and work.judge != EXACT:
        raise EvaluationError("The own runner grades as training does, without a judge; leave out --judge.")
    sampling = Sampling(temperature=0.0, max_tokens=work.tokens(target))
    journal.take_over(samples.table(work.folder))
    pictures = Pictures(work.folder)
    asked = Asked(target, sampling)
    found = [(entry, loaded(entry, pictures, work.limit)) for entry in work.suite.benchmarks]
    return [Asking(work, entry, asked, benchmark) for entry, benchmark in found]


def run(work: Work, target: Target) -> list[State]:
    """Ask a model what is missing; how far each benchmark then is.

    Raises:
        EvaluationError: a benchmark cannot be read. A model that cannot be used is told in the states.
    """
    askings = prepared(work, target)
    why = ""
    if any(asking.missing for asking in askings):
        try:
            with open.engine(target, work) as engine:
                for asking in askings:
                    _ask(asking, engine, work)
        except (EngineError, EvaluationError) as error:
            why = str(error)
            for asking in askings:
                asking.remember(work.folder)  # replies that tell of the model alone were not written down
    for asking in askings:
        asking.mark_faulty()
    return [scoring.keep(work.folder, asking.begun, asking.rows(), why=why) for asking in askings]


def _ask(asking: Asking, engine: Engine, work: Work) -> None:
    total, target = len(asking.benchmark.items), asking.asked.target
    line = Line(work.display, f"{target.label}, {asking.begun.benchmark}", total, total - asking.missing)
    meter = Meter(Run(work.folder), "evaluate", target.label, engine.traffic)
    items = (item for item in asking.benchmark.items if not item.fault)
    ask_missing(items, asking, engine, meter, line)
