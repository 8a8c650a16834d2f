"""The model that every curriculum of the comparison starts from: one that knows but hedges, in four kinds of rows.

Made from the shipped solver as `micro:hedging` is, on rows of which 40 % of the final answers are wrong, and with
visual problems that have options beside those that have none. It is not shipped: it is made once, in minutes, into the
folder of the comparison.
"""

import hashlib
from pathlib import Path

from datagen.micro import checkpoint, train
from datagen.micro.train import Phase

SOLVER = "solver_a"
PHASE = Phase(
    260,
    {
        "noisy_from_image": 0.22,
        "noisy_text": 0.18,
        "noisy_visual": 0.20,
        "noisy_visual_choice": 0.28,
        "from_caption": 0.12,
    },
    (0.4, 1.2),
    (0.25, 0.0),
    adam=0.4,
)


def start(folder: Path) -> Path:
    """The checkpoint in `folder`, made if it is not there; the same steps as long as the machine sums in one order."""
    if not (folder / "config.json").is_file():
        making = folder.with_name(f"{folder.name}.making")
        train.further(checkpoint(SOLVER), PHASE, train.SEEDS[SOLVER], making)
        making.rename(folder)
    return folder


def digest(folder: Path) -> str:
    """First 16 hex digits of the sha256 of a checkpoint's weights."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
