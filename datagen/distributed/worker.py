"""The callable that Ray Data keeps in an actor: takes keys, appends rows to the run's tables, returns counts.

Errors that the user can mend are returned as a row too: an exception in an actor would reach the driver as Ray's own,
with a traceback and no sentence.
"""

import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from capcurriculum import locks, recipe
from capcurriculum.errors import CapCurriculumError, EngineError, RunError
from capcurriculum.ledger.cost import ASKED
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, check_prompts
from datagen import engines
from datagen.asking.outcomes import Counts
from datagen.distributed.engine_thread import EngineThread
from datagen.distributed.steps import Spec, job
from datagen.engines.openai import headers
from datagen.sources import gather

#: The event that records a worker's process id and node.
STARTED = "worker started"
#: Consecutive deaths that are tolerated beyond one a worker.
SPARE_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker gets. It holds no secret, since Ray keeps it: keys of endpoints come from its own environment.

    `cwd` is the folder the build was started in, which `run` and the recipe's paths may be relative to. `build` is the
    name given to `locks.employ`, and `workers` the number of those with this assignment.
    """

    cwd: str
    run: str
    build: str
    recipe: str
    spec: Spec
    workers: int


class Worker:
    """One actor: nothing happens before its first block, so that an error of starting is returned as a row too."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self._open = ExitStack()
        self._thread: EngineThread | None = None
        self._lock = threading.Lock()
        self._reported = Counts()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Do one block: `keys` holds one list of keys.

        Returns the columns `done` (how many were done), or `error` (a sentence) and `kind` (its exception class).
        The other columns are `Counts` of the replies since the last block.
        """
        keys = [str(key) for key in batch["keys"][0]]
        try:
            self._ready().do(keys)
        except CapCurriculumError as error:
            return {"done": [0], "error": [str(error)], "kind": [type(error).__name__], **self._counted()}
        return {"done": [len(keys)], "error": [""], "kind": [""], **self._counted()}

    def _counted(self) -> dict[str, list[Any]]:
        with self._lock:
            total = self._thread.job.heard.total if self._thread else Counts()
            new, self._reported = total - self._reported, total
        return {name: [number] for name, number in asdict(new).items()}

    def close(self) -> None:
        """End the engine and release the run's lock."""
        if self._thread:
            self._thread.close()
        self._thread = None
        self._open.close()

    def __del__(self) -> None:
        # Ray Data lets go of it when the step is over; vLLM's own processes are to end with it.
        self.close()

    def _ready(self) -> EngineThread:
        with self._lock:
            if self._thread is None:
                self._thread = self._begin()
            return self._thread

    def _begin(self) -> EngineThread:
        assignment = self.assignment
        try:
            os.chdir(assignment.cwd)
        except OSError as error:
            raise RunError(
                f"The folder {assignment.cwd}, where the build was started, cannot be used on the node "
                f"{os.uname().nodename} ({error.strerror}); it must be on a file system that every node sees under the "
                "same path."
            ) from error
        with ExitStack() as until_checked:
            until_checked.enter_context(locks.working(Path(assignment.run), assignment.build))
            # A name of its own for each process, a restarted one too: its shards must not meet those of the dead one.
            run = Run(Path(assignment.run), writer=f"ray-{uuid.uuid4().hex[:12]}")
            check_prompts(run)
            _check_deaths(run, assignment)
            self._open = until_checked.pop_all()
        wanted = recipe.parse(yaml.safe_load(assignment.recipe), "of the run")
        headers.check(wanted.models[name] for name in sorted(wanted.asked))
        # No display: a worker's progress shows in the rows that it writes.
        at = gather.setting(run, wanted, Display(Console(quiet=True)))
        run.event(STARTED, pid=os.getpid(), node=os.uname().nodename, step=str(assignment.spec), build=assignment.build)
        return EngineThread(job(assignment.spec, at), partial(engines.create, wanted.models[assignment.spec.model]))


def _check_deaths(run: Run, assignment: Assignment) -> None:
    """Raise EngineError where the step's workers only die: Ray restarts them for ever, also if the model does not fit.

    Any row written in the step resets the count, so that what other workers can still do is done first.
    """
    events, spec = list(run.events()), assignment.spec
    rows = [str(e["time"]) for e in events if e.get("event") == ASKED and e.get("step") == spec.step and e.get("rows")]
    last = max(rows, default="")
    own = [e for e in events if e.get("event") == STARTED and e.get("build") == assignment.build]
    vain = sum(e.get("step") == str(spec) and str(e["time"]) > last for e in own)
    if vain >= 2 * assignment.workers + SPARE_DEATHS:
        raise EngineError(
            f"Workers of {spec} have died {vain - assignment.workers} times without writing a row in between; their "
            "logs are below /tmp/ray on their nodes. Give each more memory or GPUs in the recipe's ray section, or "
            "start fewer, and run again."
        )
