"""TRL's part of `benchmarks.engines`, which runs in TRL's environment."""

import json
import sys
from typing import Any

from capcurriculum.engines import trl


def score() -> list[float | None]:
    """The scores of the replies on stdin, called as GRPOTrainer calls a reward function."""
    rows = [json.loads(line) for line in sys.stdin]
    return trl.reward(
        prompts=[[{"role": "user", "content": ""}] for _ in rows],
        completions=[[{"role": "assistant", "content": row["reply"]}] for row in rows],
        completion_ids=[[0] for _ in rows],
        reward_model=[{"style": "rule", "ground_truth": row["ground_truth"]} for row in rows],
        extra_info=[{"options": row["options"], "kind": row["kind"]} for row in rows],
        trainer_state=None,
        log_extra=lambda column, values: None,
        log_metric=lambda name, value: None,
    )


def main() -> Any:
    """What the command named by the arguments found."""
    command, *words = sys.argv[1:]
    return {"score": score}[command](*words)


if __name__ == "__main__":
    print(json.dumps(main()))
