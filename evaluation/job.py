"""What an evaluation is to do, as every engine takes it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from capcurriculum.render.progress import Display
from evaluation.results.results import State
from evaluation.serving.models import Target
from evaluation.serving.vllm_command import Wanted, reply_tokens
from evaluation.suites import Entry, Suite


@dataclass(frozen=True, slots=True)
class Work:
    """Everything but the model. `judge` and `python` are as the user named them, "" for the suite's and the recipe's.

    `runner` is what runs a model that the own engine asks ("" lets its backbone decide), `server` how one is served.
    With `dry_run` nothing is asked.
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
    server: Wanted = field(default_factory=Wanted)
    dry_run: bool = False
    patience_seconds: float = 900

    def tokens(self, target: Target) -> int:
        """The longest reply that a model may give."""
        return self.max_tokens or reply_tokens(target.base)

    def interpreter(self, target: Target) -> str:
        """The Python of the kit's environment: as named, else that of the recipe of the run; "" where none is."""
        if self.python or target.run is None:
            return self.python
        return target.run.recipe().evaluation.python

    def starts(self, target: Target) -> bool:
        """Whether that Python may be started now: in a dry run only one that the user named, not one of a recipe's."""
        return not (self.dry_run and not self.python and self.interpreter(target))

    def name(self, entry: Entry) -> str:
        """What results call a benchmark; the first samples of one are another benchmark."""
        return f"{entry.name} (first {self.limit})" if self.limit else entry.name

    def begun(self, target: Target, entry: Entry, engine: str, setup: str, digest: str, samples: int) -> State:
        """The state of a benchmark that nothing is known of yet."""
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

    def serving(self) -> Wanted:
        """How a server for this suite is started: on a free port, with room for its largest sample."""
        most = max(entry.images for entry in self.suite.benchmarks)
        return replace(self.server, port=0, images=max(most, self.server.images))
