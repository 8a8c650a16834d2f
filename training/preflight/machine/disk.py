"""The disk space of a chain's checkpoints.

A checkpoint of verl 0.9.1 (`verl/utils/checkpoint/fsdp_checkpoint_manager.py`) holds the weights once for each of
`model` and `hf_model` in its save contents, and for `optimizer` AdamW's two moments of the trained weights, all in the
trained type. Only the last checkpoint keeps all of it (`export.prune`), and nothing is removed before it is complete. A
done stage keeps its export, in the type that is computed in.
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
    """Bytes of one whole checkpoint, of a stage's peak, of what remains when it is done, and of what exists already."""

    checkpoint: int
    most: int
    left: int
    there: int


def need(size: ModelSize, link: LinkNeed) -> DiskNeed:
    """The space of a link's checkpoints."""
    held, trained = link.numbers(size)
    moments = _MOMENTS * trained if "optimizer" in link.contents else 0
    checkpoint = link.trained * (held * sum(one in link.contents for one in _WHOLE) + moments)
    saves = -(-link.steps // link.save_every)
    older = held * link.trained * max(min(saves, link.keep) - 2, 0)
    exported = size.parameters * link.computing
    # Even if verl keeps one, it removes the old one only after it has written the new one.
    most = max(checkpoint * min(saves, 2) + older, checkpoint + older + exported)
    there = sum(path.stat().st_size for path in link.checkpoints.rglob("*") if path.is_file())
    return DiskNeed(checkpoint, most, most if link.stays else exported, there)


def chain(needs: Sequence[DiskNeed]) -> tuple[int, int]:
    """(peak, rest at the end) in bytes, for links trained one after the other."""
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
