"""How the canary gets into verl's trainer: as the manager of its agent loops, whose module verl imports by name.

verl's trainer has a hook before the first step and one after each; both are called when the rollout servers are awake
and hold the actor's weights, which at the moment of a save they are not.
"""

from typing import Any

from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from training.canary.look import Canary


class WatchedAgentLoops(AgentLoopManagerTQ):
    """verl's own manager; that it is asked for by this name is what matters."""


def _install() -> None:
    on_train_begin, on_step_end = PPOTrainerSync.on_train_begin, PPOTrainerSync.on_step_end

    def before_the_first(self: Any) -> None:
        on_train_begin(self)
        self.global_steps -= 1  # verl counts the step that is about to begin
        self.pixel_canary = Canary(self, int(self.config.data.seed or 0))
        self.pixel_canary.look()
        self.global_steps += 1

    def after(self: Any) -> None:
        on_step_end(self)
        every, step = self.config.trainer.save_freq, self.global_steps
        if every > 0 and (step % every == 0 or step >= self.total_training_steps):
            self.pixel_canary.look()

    PPOTrainerSync.on_train_begin = before_the_first
    PPOTrainerSync.on_step_end = after


_install()
