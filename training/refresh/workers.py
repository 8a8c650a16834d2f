"""Start the processes in which a checkpoint answers, wait for them, and leave none behind.

On GPUs there are as many as the node's GPUs allow at the stage's `tensor_parallel`, since an engine serves one replica;
each asks its own share of the rows. They die with this process.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.errors import TrainerError
from training.interpreter import last_error
from training.refresh.asking import ERROR
from training.refresh.task import Task
from training.supervise import processes, supervisor

_JOB = "job.json"
_POLL_SECONDS = 0.1


def ask(task: Task, solver: str, work: Path) -> None:
    """Have every row of `work` (see `rows`) answered under the name `solver`.

    Raises:
        TrainerError: a process failed; the sentence is its own, or holds its last error and the log's path.
    """
    describe(task, solver, work)
    log = task.folder.with_name("refresh.log")
    processes.end(task.folder)  # those of a training that was killed
    children: list[subprocess.Popen[bytes]] = []
    try:
        with supervisor.signals_as_interrupts(), log.open("ab") as file:
            start = file.tell()
            children += [_start(task, number, work, file.fileno()) for number in range(task.workers)]
            _wait(children, work, log, start)
    finally:
        with supervisor.signals_ignored():
            processes.end(task.folder)
            for child in children:
                child.wait()


def describe(task: Task, solver: str, work: Path) -> dict[str, object]:
    """Write what the processes are to do to `work`, and return it."""
    job: dict[str, object] = {
        "folder": str(work),
        "run": str(task.run.path.absolute()),
        "solver": solver,
        "model": task.model.model_dump(mode="json"),
        "sampling": asdict(task.sampling),
        "rollouts": task.rollouts.model_dump(mode="json"),
    }
    (work / "recipe.yaml").write_text(recipe.dump(task.recipe), encoding="utf-8")
    (work / _JOB).write_text(json.dumps(job), encoding="utf-8")
    return job


def _start(task: Task, number: int, work: Path, log: int) -> "subprocess.Popen[bytes]":
    variables = dict(task.environment) | {processes.MARKER: str(task.folder), "PYTHONSAFEPATH": "1"}
    if task.model.engine == "vllm" and task.workers > 1:
        variables["CUDA_VISIBLE_DEVICES"] = _devices(variables, number, task.model.vllm.tensor_parallel_size)
    return subprocess.Popen(
        [task.python, "-m", "training.refresh.asking", str(work / _JOB), f"{number}/{task.workers}"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=log,
        preexec_fn=processes.die_with_parent,
    )


def _devices(variables: dict[str, str], number: int, each: int) -> str:
    """The GPUs of a process, of those that are visible here."""
    visible = [name for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    places = range(number * each, (number + 1) * each)
    return ",".join(visible[place] if place < len(visible) else str(place) for place in places)


def _wait(children: Sequence["subprocess.Popen[bytes]"], work: Path, log: Path, start: int) -> None:
    """Wait for all; raise as soon as one has failed."""
    while True:
        codes = [child.poll() for child in children]
        for number, code in enumerate(codes):
            if code:
                said = work / ERROR.format(number)
                if said.is_file():
                    raise TrainerError(said.read_text(encoding="utf-8"))
                with log.open("rb") as file:
                    file.seek(start)
                    reason = last_error(file.read().decode(errors="replace"))
                raise TrainerError(
                    f"The process that measures pass rates anew ended with code {code} ({reason}); see {log}, and run "
                    f"again to go on."
                )
        if all(code == 0 for code in codes):
            return
        time.sleep(_POLL_SECONDS)
