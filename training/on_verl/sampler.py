"""verl's replay buffer, with what the rewards say beside the score (verl: `trainer.v1.sampler.custom_sampler`).

verl 0.9.1 reports accuracy and format of validation replies only; here the mean of every number that the reward returns
becomes a metric of the training batch too, `reward/<name>`, and the share of prompts all of whose replies were rewarded
alike, `reward/flat`: GRPO compares the replies to one prompt, so these teach nothing. And it asks more often whether
the rollouts are done: every 2 s, as verl does, is most of a step of a micro model.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import transfer_queue as tq
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

#: What the mean of a number of the reward's is called among verl's metrics, before its own name.
PREFIX = "reward/"


class ToldReplayBuffer(ReplayBuffer):
    """`poll_interval` is seconds."""

    def __init__(self, *args: Any, poll_interval: float = 0.1, **kwargs: Any) -> None:
        super().__init__(*args, poll_interval=poll_interval, **kwargs)

    def sample(self, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """As verl's own, with the rewards' numbers among the metrics of a training batch."""
        batch, metrics = super().sample(*args, **kwargs)
        if batch.partition_id != "val":
            fields = ["extra_fields"]
            data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
            extras = [getattr(extra, "data", extra) for extra in data["extra_fields"]]
            metrics = metrics | means(extras) | flat(batch.keys, extras)
        return batch, metrics


def flat(keys: Sequence[str], extras: Iterable[Any]) -> dict[str, float]:
    """The share of prompts without two different scores, by verl's keys `<prompt>_<session>_<turn>` of the replies."""
    scores: dict[str, set[float]] = defaultdict(set)
    for key, extra in zip(keys, extras, strict=True):
        told = extra.get("reward_extra_info") if isinstance(extra, Mapping) else None
        if told and "score" in told:
            scores[key.rsplit("_", 2)[0]].add(float(told["score"]))
    return {f"{PREFIX}flat": sum(len(found) == 1 for found in scores.values()) / len(scores)} if scores else {}


def means(extras: Iterable[Any]) -> dict[str, float]:
    """Mean of every number of the replies' rewards, over the replies that have it; of outcomes, two shares."""
    values: dict[str, list[float]] = defaultdict(list)
    for extra in extras:
        told = extra.get("reward_extra_info") if isinstance(extra, Mapping) else None
        for name, value in (told or {}).items():
            if isinstance(value, (int, float)):
                values[name].append(float(value))
        if told and "outcome" in told:
            values["unparsed"].append(float(told["outcome"] == "unparsed"))
            values["failed"].append(float(told["outcome"] == "failed"))
    return {f"{PREFIX}{name}": sum(found) / len(found) for name, found in values.items() if found}
