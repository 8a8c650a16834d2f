"""verl's replay buffer with metrics of the rewards (verl: `trainer.v1.sampler.custom_sampler`).

verl 0.9.1 reports a reward function's further values for validation only. This buffer adds their means over the
training batch as `reward/<name>`, and as `reward/flat` the share of prompts whose replies all have the same score: GRPO
compares the replies to one prompt, so these give no gradient. It also polls for finished rollouts every 0.1 s; verl's 2
s are most of a micro model's step.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import transfer_queue as tq
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

#: Prefix of the metrics.
PREFIX = "reward/"


class RewardMetricsBuffer(ReplayBuffer):
    """`poll_interval` is in seconds."""

    def __init__(self, *args: Any, poll_interval: float = 0.1, **kwargs: Any) -> None:
        super().__init__(*args, poll_interval=poll_interval, **kwargs)

    def sample(self, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """(batch, metrics) of the base class; metrics of a training batch include those of its rewards."""
        batch, metrics = super().sample(*args, **kwargs)
        if batch.partition_id != "val":
            fields = ["extra_fields"]
            data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
            extras = [getattr(extra, "data", extra) for extra in data["extra_fields"]]
            metrics = metrics | means(extras) | flat(batch.keys, extras)
        return batch, metrics


def flat(keys: Sequence[str], extras: Iterable[Any]) -> dict[str, float]:
    """The share of prompts whose replies have one score; `keys` are the replies' own, `<prompt>_<session>_<turn>`."""
    scores: dict[str, set[float]] = defaultdict(set)
    for key, extra in zip(keys, extras, strict=True):
        if "score" in (reward := _reward(extra)):
            scores[key.rsplit("_", 2)[0]].add(float(reward["score"]))
    return {f"{PREFIX}flat": sum(len(found) == 1 for found in scores.values()) / len(scores)} if scores else {}


def means(extras: Iterable[Any]) -> dict[str, float]:
    """Means of the rewards' numbers over the replies that have them, and the shares of unparsed and failed replies."""
    values: dict[str, list[float]] = defaultdict(list)
    for reward in map(_reward, extras):
        for name, value in reward.items():
            if isinstance(value, (int, float)):
                values[name].append(float(value))
        for outcome in ("unparsed", "failed") if "outcome" in reward else ():
            values[outcome].append(float(reward["outcome"] == outcome))
    return {f"{PREFIX}{name}": sum(found) / len(found) for name, found in values.items() if found}


def _reward(extra: Any) -> Mapping[str, Any]:
    return (extra.get("reward_extra_info") if isinstance(extra, Mapping) else None) or {}
