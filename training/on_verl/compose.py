"""Whether verl takes a configuration.

`faults` asks `python -m training.on_verl.compose`, run by the trainer's own interpreter.

That reads JSON from standard input, a list of [trainer, words], and prints one line of JSON: for each the error that
composing verl's packaged configuration with these words gives, "" where there is none. No model is loaded, no GPU used.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence

#: verl's configurations, by the trainers that read them.
CONFIGS = {"grpo": "ppo_trainer", "sft": "sft_trainer_engine"}


_SECONDS = 300


def faults(python: str, variables: Mapping[str, str], asked: Sequence[tuple[str, Sequence[str]]]) -> list[str] | None:
    """What verl says of each configuration, "" where it takes it; None where it cannot be asked.

    Args:
        python: the trainer's interpreter.
        variables: its environment.
        asked: (one of `CONFIGS`, hydra's words) each.
    """
    command, text = [python, "-m", "training.on_verl.compose"], json.dumps(asked)
    try:
        done = subprocess.run(
            command, input=text, env=dict(variables), capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        return [str(one) for one in json.loads(done.stdout.strip().splitlines()[-1])]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def fault(trainer: str, words: list[str]) -> str:
    """What is wrong with the words, in one line."""
    import verl
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    folder = os.path.join(os.path.dirname(str(verl.__file__)), "trainer", "config")
    try:
        with initialize_config_dir(folder, version_base=None):
            config = compose(CONFIGS[trainer], overrides=words)
        if trainer == "grpo":
            validate_config(config, need_reference_policy(config), need_critic(config))
            omega_conf_to_dataclass(config.actor_rollout_ref.actor)
            omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    except (
        HydraException,
        OmegaConfBaseException,
        AssertionError,
        ValueError,
        TypeError,
        NotImplementedError,
    ) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    print("\n" + json.dumps([fault(trainer, words) for trainer, words in asked]), flush=True)
