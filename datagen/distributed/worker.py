"""The callable that Ray Data keeps in an actor: reads keys, writes rows to the run's tables, gives back a count.

What the user can mend comes back as a row too, since an exception in an actor would reach the driver as Ray's own, with
a traceback and no sentence.
"""

import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from capcurriculum import locks, recipe
from capcurriculum.errors import CapCurriculumError, EngineError, RunError
from capcurriculum.ledger.cost import ASKED
from capcurriculum.run import Run, check_prompts
from datagen import engines
from datagen.asking.outcomes import Counts
from datagen.distributed.engine_thread import Desk
from datagen.distributed.steps import Spec, duty
from datagen.engines.openai import headers
from datagen.engines.protocol import Engine

#: The event in which a worker tells its process id and node.
STARTED = "worker started"
#: Deaths in a row that are put up with beyond one a worker.
SPARE_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker is told: no secret, as Ray keeps it. Keys of endpoints come from its own environment.

    `cwd` is the folder the build was started in, which relative paths of the recipe begin at; `run` and the values of
    `folders` (stage -> where its images lie) may be relative to it. `build` is the name given to `locks.employ`, and
    `workers` how many are told the same.
    """

    cwd: str
    run: str
    build: str
    recipe: str
    folders: Mapping[str, str]
    spec: Spec
    workers: int


class Worker:
    """One actor: nothing happens before its first block, so that whatever fails then is told in a row."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self._open = ExitStack()
        self._desk: Desk | None = None
        self._lock = threading.Lock()
        self._told = Counts()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """One block: `keys` holds one list of them; `done` says how many, or `error` and `kind` what went wrong.

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
            total = self._desk.duty.heard.total if self._desk else Counts()
            new, self._told = total - self._told, total
        return {name: [number] for name, number in asdict(new).items()}

    def close(self) -> None:
        """End the engine and give the run free."""
        if self._desk:
            self._desk.close()
        self._desk = None
        self._open.close()

    def __del__(self) -> None:
        # Ray Data lets go of it when the step is over; vLLM's own processes are to end with it.
        self.close()

    def _ready(self) -> Desk:
        with self._lock:
            if self._desk is None:
                self._desk = self._begin()
            return self._desk

    def _begin(self) -> Desk:
        told = self.assignment
        try:
            os.chdir(told.cwd)
        except OSError as error:
            raise RunError(
                f"The folder {told.cwd}, where the build was started, cannot be used on the node {os.uname().nodename} "
                f"({error.strerror}); it must be on a file system that every node sees under the same path."
            ) from error
        with ExitStack() as until_checked:
            until_checked.enter_context(locks.working(Path(told.run), told.build))
            # A name of its own for each process, a restarted one too: its shards must not meet those of the dead one.
            run = Run(Path(told.run), writer=f"ray-{uuid.uuid4().hex[:12]}")
            check_prompts(run)
            _not_for_nothing(run, told)
            self._open = until_checked.pop_all()
        wanted = recipe.parse(yaml.safe_load(told.recipe), "of the run")
        headers.check(wanted.models[name] for name in sorted(wanted.asked))
        folders = {stage: Path(folder) for stage, folder in told.folders.items()}
        run.event(STARTED, pid=os.getpid(), node=os.uname().nodename, step=str(told.spec), build=told.build)

        def start() -> AbstractContextManager[Engine]:
            return engines.create(wanted.models[told.spec.model])

        return Desk(duty(told.spec, run, wanted, folders), start)


def _not_for_nothing(run: Run, told: Assignment) -> None:
    """Ray starts dead workers again for ever; a model that does not fit, or a block that kills, must not go on so.

    What others can still do is done first: any row written in the step begins the count anew.

    Raises:
        EngineError: more workers of the step have died in a row than chance would have it.
    """
    events = list(run.events())
    rows = [
        str(e["time"]) for e in events if e.get("event") == ASKED and e.get("step") == told.spec.step and e.get("rows")
    ]
    last = max(rows, default="")
    own = [e for e in events if e.get("event") == STARTED and e.get("build") == told.build]
    vain = sum(e.get("step") == str(told.spec) and str(e["time"]) > last for e in own)
    if vain >= 2 * told.workers + SPARE_DEATHS:
        raise EngineError(
            f"Workers of {told.spec} have died {vain - told.workers} times without writing a row in between; their "
            "logs are below /tmp/ray on their nodes. Give each more memory or GPUs in the recipe's ray section, or "
            "start fewer, and run again."
        )
