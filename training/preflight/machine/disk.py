"""What a chain's checkpoints will take on disk, against what is free there.

A checkpoint of verl 0.9.1 (`verl/utils/checkpoint/fsdp_checkpoint_manager.py`) holds the weights once for each of
`model` and `hf_model` in its save contents, and AdamW's two moments of what is trained for `optimizer`, all in the type
that is trained.
Only the last can be resumed from and keeps all of it (`export.prune`); before it is written nothing is removed. A stage
that is done keeps its export, in the type that is computed in.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.preflight.machine.model import ModelSize
from training.preflight.machine.need import LinkNeed

_MOMENTS = 2
_WHOLE = ("model", "hf_model")


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes: of one whole checkpoint of a stage, of the most that its training and export hold at once, of what is left
    of it when it is done, and of what is there already.
    """

    checkpoint: int
    most: int
    left: int
    there: int


def need(size: ModelSize, link: LinkNeed) -> DiskNeed:
    """What a link's checkpoints take."""
    held, trained = link.numbers(size)
    moments = _MOMENTS * trained if "optimizer" in link.contents else 0
    checkpoint = link.trained * (held * sum(one in link.contents for one in _WHOLE) + moments)
    saves = -(-link.steps // link.save_every)
    older = held * link.trained * max(min(saves, link.keep) - 2, 0)
    exported = size.parameters * link.computing
    # With one to keep, verl removes the old one only after the new one is written.
    most = max(checkpoint * min(saves, 2) + older, checkpoint + older + exported)
    there = sum(path.stat().st_size for path in link.checkpoints.rglob("*") if path.is_file())
    return DiskNeed(checkpoint, most, most if link.stays else exported, there)


def chain(needs: Sequence[DiskNeed]) -> tuple[int, int]:
    """(the most bytes that links trained one after the other hold at once, what is left of them at the end)."""
    most = left = 0
    for one in needs:
        most = max(most, left + one.most)
        left += one.left
    return most, left


def free(folder: Path) -> int:
    """Bytes free on the file system where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
