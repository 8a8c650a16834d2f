"""The parameters of an evaluation, as every engine takes them."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from capcurriculum.render.progress import Display
from capcurriculum.rows import digest
from evaluation import kits
from evaluation.results.results import State
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import ServeOptions, reply_tokens
from evaluation.suites import Entry, Suite

_Session = TypeVar("_Session", bound=kits.Session)


@dataclass(frozen=True, slots=True)
class Job:
    """All parameters but the model. `judge` and `python` are as given ("": the suite's and the recipe's).

    `runner` runs the models of the own engine ("": by backbone), `server` is how a model is served. With `dry_run` no
    request is sent.
    """

    folder: Path
    suite: Suite
    display: Display
    limit: int | None = None
    max_tokens: int | None = None
    runner: str = ""
    concurrency: int = 32
    judge: str = ""
    python: str = ""
    server: ServeOptions = field(default_factory=ServeOptions)
    dry_run: bool = False
    patience_seconds: float = 900

    def tokens(self, target: Target) -> int:
        """The maximum number of tokens of a reply."""
        return self.max_tokens or reply_tokens(target.base)

    def interpreter(self, target: Target) -> str:
        """The Python of the kit's environment: `python`, else that of the run's recipe; "" where neither names one."""
        if self.python or target.run is None:
            return self.python
        return target.run.recipe().evaluation.python

    def session(self, kind: type[_Session], target: Target) -> _Session:
        """The session of an evaluation kit with a model; a dry run starts no interpreter that a recipe names.

        Raises:
            EvaluationError: the kit is not installed.
        """
        python = self.interpreter(target)
        start = not (self.dry_run and python and not self.python)
        kit = kits.find(kind.name, kind.distributions, python, kind.hint, start=start)
        tokens = self.tokens(target)
        setup = digest(kind.name, kind.version, kit.version, *target.identity, tokens)
        return kind(kit, target, tokens, setup, (self.folder / kind.name / setup).absolute(), self.concurrency)

    def name(self, entry: Entry) -> str:
        """The name of a benchmark in results; with a limit it is another benchmark."""
        return f"{entry.name} (first {self.limit})" if self.limit else entry.name

    def begun(self, target: Target, entry: Entry, engine: str, setup: str, digest: str, samples: int) -> State:
        """The initial state of a benchmark of `samples` samples (0: as many as the engine finds)."""
        return State(
            model=target.label,
            suite=self.suite.name,
            benchmark=self.name(entry),
            state="incomplete",
            engine=engine,
            setup=setup,
            benchmark_digest=digest,
            samples=samples,
        )

    def serving(self) -> ServeOptions:
        """How to start a server for this suite: on a free port, with room for the sample with the most images."""
        most = max(entry.images for entry in self.suite.benchmarks)
        return replace(self.server, port=0, images=max(most, self.server.images))
