"""What a chain's checkpoints will take on disk, against what is free there.

A checkpoint of verl 0.9.1 (`verl/utils/checkpoint/fsdp_checkpoint_manager.py`) holds the weights once for each of
`model` and `hf_model` in its save contents, and AdamW's two moments for `optimizer`, all in the type that is trained.
Exports are links to `hf_model` and add nothing on the same file system.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Bytes of a number in each type that verl names.
TYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
_COPIES = {"model": 1, "optimizer": 2, "hf_model": 1}


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes: of one checkpoint of a stage, of all that are kept at once, and of those what is there already."""

    checkpoint: int
    kept: int
    there: int


def need(parameters: int, keys: Mapping[str, Any], steps: int, folder: Path) -> DiskNeed:
    """What a stage's checkpoints take; `keys` is its verl configuration, `folder` where they are saved."""
    actor = "actor_rollout_ref.actor"
    copies = sum(_COPIES.get(one, 0) for one in keys[f"{actor}.checkpoint.save_contents"])
    checkpoint = parameters * TYPE_BYTES[keys[f"{actor}.fsdp_config.model_dtype"]] * copies
    saves = -(-steps // keys["trainer.save_freq"])
    # With one to keep, verl removes the old one only after the new one is written.
    most = max(keys["trainer.max_actor_ckpt_to_keep"], 2)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return DiskNeed(checkpoint, checkpoint * min(saves, most), there)


def free(folder: Path) -> int:
    """Bytes free on the file system where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
