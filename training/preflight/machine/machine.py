"""Findings about a chain's image settings, disk space and memory.

An estimate is an error only if it clearly cannot fit. Unknown values become warnings.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capcurriculum.files import json_file
from training.preflight.findings import Findings
from training.preflight.machine import disk, memory
from training.preflight.machine.model import ModelSize, model_size
from training.preflight.machine.need import LinkNeed

_GB = 1e9


def note_pictures(folder: Path, patch: int, keys: Mapping[str, Any], findings: Findings) -> None:
    """Note image settings that verl, vLLM and the checkpoint's processor would interpret differently."""
    if len([name for name in ("min_pixels", "max_pixels") if f"data.mm_processor_kwargs.{name}" in keys]) == 1:
        findings.error(
            "pixel_limits",
            "data.mm_processor_kwargs sets one of min_pixels and max_pixels, which vLLM heeds and the processor does "
            "not, so the two count different tokens; set both",
        )
    found = _processor_patch(folder)
    if found is not None and found != patch:
        text = f"the backbone says image_patch_size {patch}, and the checkpoint's processor {found}; correct it"
        findings.error("patch", text)


def note_machine(
    links: Sequence[LinkNeed],
    model: Path,
    gpus: int,
    device: str,
    gpu_gb: float | None,
    findings: Findings,
    nodes: int = 1,
) -> dict[str, float | None]:
    """Note too little disk or memory and too few positions; returns the estimates in GB (1e9 bytes), None if unknown.

    Arguments are those of `Inspection.chain`; `gpu_gb` is the memory of one GPU, None asks the driver.
    """
    size = model_size(model)
    if size is None or not links:
        return {}
    numbers = _note_disk(links, size, findings)
    for link in links:
        if size.positions is not None and link.longest > size.positions:
            longest = f"prompt and reply may have {link.longest} tokens, and the model has {size.positions} positions"
            findings.error("positions", f"{longest}; lower max_prompt_tokens or max_response_tokens", link.stage)
    return numbers | (_note_gpus(links, size, gpus, gpu_gb, findings, nodes) if device == "cuda" else {})


def _note_gpus(
    links: Sequence[LinkNeed], size: ModelSize, gpus: int, gpu_gb: float | None, findings: Findings, nodes: int
) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    capacity = gpu_gb or memory.gpu_memory()
    if capacity is None:
        unknown = "how much memory a GPU has is unknown here, and so whether this fits"
        findings.warn("gpu_memory", f"{unknown}; set training.preflight.gpu_memory_gb")
    for link in links:
        need = memory.need(size, link, gpus)
        numbers |= {
            f"{link.stage}_gpu_resting": need.resting,
            f"{link.stage}_gpu_updating": need.updating,
            f"{link.stage}_gpu_log_prob": need.asking,
            f"{link.stage}_host": memory.host(size, link, gpus, nodes),
        }
        certain, likely = memory.faults(need, link, capacity or math.inf)
        for text in certain:
            findings.error("gpu_memory", text, link.stage)
        for text in likely:
            findings.warn("gpu_memory", text, link.stage)
    return numbers | {"gpu_capacity": capacity}


def _processor_patch(folder: Path) -> int | None:
    """The patch size in pixels of a checkpoint's image processor; None if its configuration has none."""
    for name, part in (("processor_config.json", "image_processor"), ("preprocessor_config.json", None)):
        try:
            config = json_file.read(folder / name)
            patch = (config[part] if part else config)["patch_size"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(patch, int):
            return patch
    return None


def _note_disk(links: Sequence[LinkNeed], size: ModelSize, findings: Findings) -> dict[str, float | None]:
    needs = [disk.need(size, link) for link in links]
    free = disk.free(links[0].checkpoints)
    most, left = disk.chain(needs)
    missing = max(0, most - sum(one.there for one in needs))
    if missing > free:
        each = ", ".join(f"{link.stage} {one.most / _GB:,.1f}" for link, one in zip(links, needs, strict=True))
        findings.error(
            "disk",
            f"checkpoints will take up to {missing / _GB:,.1f} GB more at once ({each}), and {free / _GB:,.1f} GB are "
            f"free below {links[0].checkpoints.parent.parent}; free some, or lower keep_checkpoints",
        )
    return {
        "disk_needed": missing / _GB,
        "disk_free": free / _GB,
        "checkpoint": needs[0].checkpoint / _GB,
        "chain_disk_gb": most / _GB,
        "chain_disk_left_gb": left / _GB,
    }
