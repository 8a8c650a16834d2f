"""What a chain's checkpoints will take on disk, against what is free there.

A checkpoint of verl 0.9.1 (`verl/utils/checkpoint/fsdp_checkpoint_manager.py`) holds the weights once for each of
`model` and `hf_model` in its save contents, and AdamW's two moments for `optimizer`, all in the type that is trained.
Exports are links to `hf_model` and add nothing on the same file system.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from training.preflight.need import LinkNeed

_COPIES = {"model": 1, "optimizer": 2, "hf_model": 1}


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes: of one checkpoint of a stage, of all that are kept at once, and of those what is there already."""

    checkpoint: int
    kept: int
    there: int


def need(parameters: int, link: LinkNeed) -> DiskNeed:
    """What a link's checkpoints take."""
    copies = sum(_COPIES.get(one, 0) for one in link.contents)
    checkpoint = parameters * link.trained * copies
    # With one to keep, verl removes the old one only after the new one is written.
    kept = min(-(-link.steps // link.save_every), max(link.keep, 2))
    there = sum(path.stat().st_size for path in link.checkpoints.rglob("*") if path.is_file())
    return DiskNeed(checkpoint, checkpoint * kept, there)


def free(folder: Path) -> int:
    """Bytes free on the file system where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
