"""The driver: finds the keys whose rows are missing and gives them to workers until none is.

What is asked and written is the same as in an undistributed build, so the build's own steps, run afterwards, find
nothing left to ask and go on to derive, judge and write.
"""

import math
import os
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import polars as pl

from capcurriculum import errors, locks, recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Purpose, Question
from capcurriculum.run import Run
from datagen.asking.outcomes import Counts, look
from datagen.batched import windows
from datagen.distributed import cluster, steps
from datagen.distributed.steps import Spec
from datagen.distributed.worker import Assignment
from datagen.undecided import cheapest_first, turns

#: Blocks there are at least for each worker, so that none waits long for the last.
BLOCKS_A_WORKER = 4


class Driver:
    """Runs the steps of one build on workers; `folders` maps a stage to the folder its image paths are relative to."""

    def __init__(self, run: Run, wanted: Recipe, display: Display) -> None:
        self.run, self.recipe, self.display = run, wanted, display
        self.folders: Mapping[str, Path] = {}
        self._build = uuid.uuid4().hex
        locks.employ(run.path, self._build)

    def teach(self) -> None:
        """Have each stage's teacher asked until every caption has its questions or its tries are used up.

        Raises:
            EngineError: the model, or Ray, cannot be used.
            RunError: a worker does not see the run's folder.
        """
        for stage, made in self.recipe.captioned.items():
            self._give_out(Spec("teacher", made.teacher.model, stage), steps.untaught(self.run, self.recipe, stage))

    def probe(self, only: Container[str]) -> None:
        """Have the solvers answer the questions with these ids, each as far as that is needed. Raises as `teach`."""
        for stage, made in self.recipe.captioned.items():
            for solver in turns(cheapest_first(made.probe.solvers, self.recipe)):
                rows = self.run.questions.rows(pl.col("stage") == stage)
                self._answer(Spec(Purpose.PROBE, solver, stage), (q for q in rows if q.question_id in only))

    def roll_out(self, questions: Iterable[Question]) -> None:
        """Have the questions' rollouts asked. Raises as `teach`."""
        self._answer(Spec(Purpose.ROLLOUT, self.recipe.rollouts.model), questions)

    def _answer(self, spec: Spec, questions: Iterable[Question]) -> None:
        self._give_out(spec, steps.unanswered(spec, self.run, self.recipe, self.folders, questions))

    def _give_out(self, spec: Spec, keys: Sequence[str]) -> None:
        from datagen.distributed import ray_data

        if not keys:
            return
        there = cluster.nodes()
        gpus_there = any(node.get("GPU") for node in there)
        each = self.recipe.ray.workers_for(spec.model, self.recipe.models[spec.model], gpus_there)
        count = min(each.workers or len(keys), cluster.room(there, each), len(keys))
        size = max(1, min(self.recipe.ray.block, math.ceil(len(keys) / (BLOCKS_A_WORKER * count))))
        label = f"{spec}, {count} worker{'s' if count > 1 else ''}"
        replies = ray_data.replies(self._assignment(spec, count), list(windows(keys, size)), count, each)
        counts = Counts()
        # Closed here, on an error too, so that no thread of Ray Data outlives Ray (see `cluster`).
        with self.display.step(label, len(keys), remark=lambda: counts.words) as advance, closing(replies):
            for reply in replies:
                if reply["error"]:
                    raise getattr(errors, str(reply["kind"]))(str(reply["error"]))
                counts += Counts(**{field.name: int(reply[field.name]) for field in fields(Counts)})
                advance(int(reply["done"]))
        for line in counts.closing(label, look(self.run, "attempts" if spec.step == "teacher" else "answers")):
            self.display.note(line)

    def _assignment(self, spec: Spec, workers: int) -> Assignment:
        folders = {str(stage): str(folder) for stage, folder in self.folders.items()}
        return Assignment(
            os.getcwd(), str(self.run.path), self._build, recipe.dump(self.recipe), folders, spec, workers
        )


@contextmanager
def driver_on(run: Run, wanted: Recipe, address: str | None, display: Display) -> Iterator[Driver | None]:
    """A driver on the Ray cluster at `address`; None where that is None. The workers end with the context.

    Raises:
        EngineError: Ray cannot be used there.
    """
    if address is None:
        yield None
    else:
        with cluster.joined(address):
            yield Driver(run, wanted, display)
