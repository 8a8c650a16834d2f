"""The driver: finds the keys whose rows are missing and gives them to workers until none is.

What is asked and written is the same as in an undistributed build, so the build's own steps, run afterwards, find
nothing left to ask and go on to derive, judge and write.
"""

import math
import os
import uuid
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from typing import Any

import polars as pl

from capcurriculum import errors, locks, recipe
from capcurriculum.recipe.models import RayWorkers
from capcurriculum.rows import Purpose, Question
from datagen.asking.outcomes import Counts, look
from datagen.batched import windows
from datagen.distributed import cluster, steps
from datagen.distributed.steps import Spec
from datagen.distributed.worker import Assignment, Worker
from datagen.setting import Setting
from datagen.undecided import cheapest_first, turns

#: Blocks there are at least for each worker, so that none waits long for the last.
BLOCKS_A_WORKER = 4
#: Blocks a worker holds at once, see `engine_thread`.
IN_FLIGHT = 2


class Driver:
    """Runs the steps of one build on workers of the Ray cluster that is joined."""

    def __init__(self, at: Setting) -> None:
        self.at, self.recipe = at, at.recipe
        self._build = uuid.uuid4().hex
        locks.employ(at.run.path, self._build)

    def teach(self) -> None:
        """Have each stage's teacher asked until every caption has its questions or its tries are used up.

        Raises:
            EngineError: the model, or Ray, cannot be used.
            RunError: a worker does not see the run's folder.
        """
        for stage, made in self.recipe.captioned.items():
            self._give_out(Spec("teacher", made.teacher.model, stage), steps.untaught(self.at, stage))

    def probe(self, only: Container[str]) -> None:
        """Have the solvers answer the questions with these ids, each as far as that is needed. Raises as `teach`."""
        for stage, made in self.recipe.captioned.items():
            for solver in turns(cheapest_first(made.probe.solvers, self.recipe)):
                rows = self.at.run.questions.rows(pl.col("stage") == stage)
                self._answer(Spec(Purpose.PROBE, solver, stage), (q for q in rows if q.question_id in only))

    def roll_out(self, questions: Iterable[Question]) -> None:
        """Have the questions' rollouts asked. Raises as `teach`."""
        self._answer(Spec(Purpose.ROLLOUT, self.recipe.rollouts.model), questions)

    def _answer(self, spec: Spec, questions: Iterable[Question]) -> None:
        self._give_out(spec, steps.unanswered(spec, self.at, questions))

    def _give_out(self, spec: Spec, keys: Sequence[str]) -> None:
        if not keys:
            return
        there = cluster.nodes()
        gpus_there = any(node.get("GPU") for node in there)
        each = self.recipe.ray.workers_for(spec.model, self.recipe.models[spec.model], gpus_there)
        count = min(each.workers or len(keys), cluster.room(there, each), len(keys))
        size = max(1, min(self.recipe.ray.block, math.ceil(len(keys) / (BLOCKS_A_WORKER * count))))
        label = f"{spec}, {count} worker{'s' if count > 1 else ''}"
        where = os.getcwd(), str(self.at.run.path)
        assignment = Assignment(*where, self._build, recipe.dump(self.recipe), spec, count)
        replies = _replies(assignment, list(windows(keys, size)), count, each)
        counts = Counts()
        # Closed here, on an error too, so that no thread of Ray Data outlives Ray (see `cluster`).
        with self.at.display.step(label, len(keys), remark=lambda: counts.words) as advance, closing(replies):
            for reply in replies:
                if reply["error"]:
                    raise getattr(errors, str(reply["kind"]))(str(reply["error"]))
                counts += Counts(**{field.name: int(reply[field.name]) for field in fields(Counts)})
                advance(int(reply["done"]))
        for line in counts.closing(label, look(self.at.run, "attempts" if spec.step == "teacher" else "answers")):
            self.at.display.note(line)


def _replies(
    assignment: Assignment, blocks: Sequence[Sequence[str]], count: int, each: RayWorkers
) -> Generator[Mapping[str, Any], None, None]:
    """What `Worker` returns for each block, as they finish, from `count` workers.

    Ray Data picks the worker for a block. By its default dead actors are restarted, and their tasks reassigned, without
    limit; a limit on tasks would be used up within seconds of a node's loss, as Ray retries once a second until it
    knows. Workers themselves end a step in which they only die.

    Raises:
        EngineError: Ray itself failed.
    """
    import ray.data
    from ray.exceptions import RayError, RayTaskError

    rows = ray.data.from_items([{"keys": list(block)} for block in blocks], override_num_blocks=len(blocks))
    compute = ray.data.ActorPoolStrategy(
        size=count,
        max_tasks_in_flight_per_actor=IN_FLIGHT,
        max_concurrent_calls_per_actor=IN_FLIGHT,
        enable_true_multi_threading=True,
    )
    resources = {"num_cpus": each.cpus, "num_gpus": each.gpus}
    done = rows.map_batches(Worker, fn_constructor_args=(assignment,), batch_size=1, compute=compute, **resources)
    try:
        yield from done.iter_rows()
    except RayTaskError:
        raise  # a mistake of ours, with its traceback
    except RayError as error:
        raise errors.EngineError(
            f"Ray failed while its workers did {assignment.spec} ({' '.join(str(error).split())[:300]}); its logs are "
            "below /tmp/ray on its nodes, and running again goes on."
        ) from error
