"""Probe every node of a Ray cluster: `python -m training.preflight.machine.nodes ADDRESS PATH...`.

Run by the trainer's own interpreter; prints one line of JSON, a list with each node's report (see `probe`).
"""

import json
import sys
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from training.preflight.machine import probe


def reports(address: str, paths: list[str], seconds: float = 300) -> list[dict[str, Any]]:
    """The report of each live node.

    Raises:
        ConnectionError: there is no cluster at `address`.
        ray.exceptions.RayError: a node does not answer within `seconds`.
    """
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    asked = []
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # Requests all GPUs, since Ray hides from a task those it does not request.
            gpus = node["Resources"].get("GPU", 0)
            task = ray.remote(num_cpus=0, num_gpus=gpus, scheduling_strategy=here, max_retries=0)(probe.report)
            asked.append(task.remote(paths))
    return list(ray.get(asked, timeout=seconds))


if __name__ == "__main__":
    print("\n" + json.dumps(reports(sys.argv[1], sys.argv[2:])), flush=True)
