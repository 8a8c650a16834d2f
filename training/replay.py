"""verl's replay buffer with a poll that fits steps of seconds (verl: `trainer.v1.sampler.custom_sampler`).

The trainer asks every 2 s whether the rollouts are done, which is most of a step of a micro model.
"""

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class PromptReplayBuffer(ReplayBuffer):
    """`poll_interval` is seconds."""

    def __init__(self, *args: Any, poll_interval: float = 0.1, **kwargs: Any) -> None:
        super().__init__(*args, poll_interval=poll_interval, **kwargs)
