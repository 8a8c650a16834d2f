"""The embedded world and the micro Qwen3-VL: what lets every step run for real with no network, GPU or weights.

`scenes`, `render`, `captions`, `questions`, `problems` and `export` make the world and need no torch; `tokenizer`,
`model`, `tasks`, `train` and `evaluate` make, train and measure the checkpoints that are shipped beside this file.
"""

from pathlib import Path

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import EngineError
from capcurriculum.torchvision_shim import ensure_torchvision

#: Two finished solvers that differ in their seed, a deliberately unfinished one, one that was taught to read
#: descriptions that need not tell the answer, and one that knows but hedges, which training can improve in few steps.
CHECKPOINTS: tuple[str, ...] = ("solver_a", "solver_b", "start", "reader", "hedging")

#: What a recipe writes before the name of a shipped checkpoint.
PREFIX = "micro:"

# Before anything here imports transformers, whose vision models import torchvision; this itself imports neither.
ensure_torchvision()


def checkpoint(name: str) -> Path:
    """The folder of a shipped checkpoint, which `transformers` and vLLM load as any other.

    Raises:
        EngineError: there is no checkpoint of that name.
    """
    if name not in CHECKPOINTS:
        known = f"{meant(name, CHECKPOINTS)}; the checkpoints are: {', '.join(CHECKPOINTS)}"
        raise EngineError(f"There is no checkpoint named {name!r}{known}.")
    return Path(__file__).with_name("checkpoints") / name


def resolve(name: str) -> str:
    """The model that a recipe names: a folder for `micro:NAME`, any other name (a folder or Hub id) as it is.

    Raises:
        EngineError: there is no shipped checkpoint of that name.
    """
    return str(checkpoint(name.removeprefix(PREFIX))) if name.startswith(PREFIX) else name
