"""Ray Data over blocks of keys: it picks the worker for each, and gives out again what a dead worker held."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from capcurriculum.errors import EngineError
from capcurriculum.recipe_ray import RayWorkers
from datagen.distributed.worker import Assignment, Worker

#: Blocks a worker holds at once, see `desk`.
IN_FLIGHT = 2
#: How often a block is given out again after the worker that held it died. A block that kills every worker, or a model
#: that does not fit, must not go round for ever.
RETRIES = 3


def replies(
    assignment: Assignment, blocks: Sequence[Sequence[str]], count: int, each: RayWorkers
) -> Iterator[Mapping[str, Any]]:
    """What `Worker` says to each block, as they are done, from `count` workers.

    Raises:
        EngineError: workers died again and again.
    """
    import ray.data
    from ray.exceptions import RayError, RayTaskError

    # One row and one task a block. Actors that die are started again without limit (Ray Data's default).
    rows = ray.data.from_items([{"keys": list(block)} for block in blocks], override_num_blocks=len(blocks))
    compute = ray.data.ActorPoolStrategy(
        size=count,
        max_tasks_in_flight_per_actor=IN_FLIGHT,
        max_concurrent_calls_per_actor=IN_FLIGHT,
        enable_true_multi_threading=True,
    )
    with warnings.catch_warnings():
        # Ray 2.64 will not take `max_task_retries` here; the `ray` extra ends before it.
        warnings.simplefilter("ignore")
        done = rows.map_batches(
            Worker,
            fn_constructor_args=(assignment,),
            batch_size=1,
            compute=compute,
            num_cpus=each.cpus,
            num_gpus=each.gpus,
            max_task_retries=RETRIES,
        )
    try:
        yield from done.iter_rows()
    except RayTaskError:
        raise  # a mistake of ours, with its traceback
    except RayError as error:
        raise EngineError(
            f"Ray workers of {assignment.spec} died {RETRIES + 1} times over the same block "
            f"({' '.join(str(error).split())[:300]}); their logs are below /tmp/ray on their nodes. "
            "Give them more memory or fewer of them in the recipe's ray section, and run again."
        ) from error
