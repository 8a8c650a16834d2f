"""Whether verl accepts a configuration.

`faults` starts `python -m training.on_verl.compose` with the trainer's interpreter. That reads from standard input a
JSON list of [trainer, overrides] and prints a JSON list with the error of composing each with verl's packaged
configuration, "" if there is none. It loads no model and uses no GPU.
"""

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence

from training.interpreter import ProgramError, output_of

#: Trainer -> verl's configuration for it.
CONFIGS = {"grpo": "ppo_trainer", "sft": "sft_trainer_engine"}
_SECONDS = 300


def faults(python: str, variables: Mapping[str, str], asked: Sequence[tuple[str, Sequence[str]]]) -> list[str] | None:
    """verl's error for each configuration, "" where it accepts it; None if verl cannot be run.

    Args:
        python: the trainer's interpreter.
        variables: its environment.
        asked: (a key of `CONFIGS`, hydra overrides) of each.
    """
    command = [python, "-m", "training.on_verl.compose"]
    try:
        return [str(one) for one in output_of(command, variables, seconds=_SECONDS, stdin=json.dumps(asked))]
    except (ProgramError, TypeError):
        return None


def fault(trainer: str, words: list[str]) -> str:
    """The error of composing and validating the overrides, in one line; "" if there is none."""
    import verl
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    folder = os.path.join(os.path.dirname(str(verl.__file__)), "trainer", "config")
    refusals = (HydraException, OmegaConfBaseException, AssertionError, ValueError, TypeError, NotImplementedError)
    try:
        with initialize_config_dir(folder, version_base=None):
            config = compose(CONFIGS[trainer], overrides=words)
        if trainer == "grpo":
            validate_config(config, need_reference_policy(config), need_critic(config))
            omega_conf_to_dataclass(config.actor_rollout_ref.actor)
            omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    except refusals as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n" + json.dumps([fault(trainer, words) for trainer, words in json.load(sys.stdin)]), flush=True)
