"""Ray Data over blocks of keys: it picks the worker for each, and reassigns the blocks of a dead worker."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import RayWorkers
from datagen.distributed.worker import Assignment, Worker

#: Blocks a worker holds at once, see `engine_thread`.
IN_FLIGHT = 2


def replies(
    assignment: Assignment, blocks: Sequence[Sequence[str]], count: int, each: RayWorkers
) -> Generator[Mapping[str, Any], None, None]:
    """What `Worker` says to each block, as they are done, from `count` workers.

    Raises:
        EngineError: Ray itself failed.
    """
    import ray.data
    from ray.exceptions import RayError, RayTaskError

    # One row and one task a block. By Ray Data's default dead actors are started again, and their tasks given out
    # again, without limit; a limit on tasks would be used up within seconds of a node's loss, as Ray tries once a
    # second until it knows. Workers themselves put an end to dying for nothing.
    rows = ray.data.from_items([{"keys": list(block)} for block in blocks], override_num_blocks=len(blocks))
    compute = ray.data.ActorPoolStrategy(
        size=count,
        max_tasks_in_flight_per_actor=IN_FLIGHT,
        max_concurrent_calls_per_actor=IN_FLIGHT,
        enable_true_multi_threading=True,
    )
    done = rows.map_batches(
        Worker,
        fn_constructor_args=(assignment,),
        batch_size=1,
        compute=compute,
        num_cpus=each.cpus,
        num_gpus=each.gpus,
    )
    try:
        yield from done.iter_rows()
    except RayTaskError:
        raise  # a mistake of ours, with its traceback
    except RayError as error:
        raise EngineError(
            f"Ray failed while its workers did {assignment.spec} ({' '.join(str(error).split())[:300]}); its logs are "
            "below /tmp/ray on its nodes, and running again goes on."
        ) from error
