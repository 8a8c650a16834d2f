"""verl's part of `benchmarks.engines`: the reward as verl loads it."""

import json
import sys


def score() -> list[float | None]:
    """The scores of the replies on stdin, by the function that verl finds under the path of its configuration."""
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    import training.reward

    told = {"path": training.reward.__file__, "name": "compute_score", "reward_kwargs": {}}
    function = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": told}}))
    scores = []
    for row in map(json.loads, sys.stdin):
        extra = {"options": row["options"], "kind": row["kind"]}
        found = function("", row["reply"], row["ground_truth"], extra)
        scores.append(None if found["outcome"] == "failed" else found["score"])
    return scores


if __name__ == "__main__":
    print(json.dumps({"score": score}[sys.argv[1]]()))
