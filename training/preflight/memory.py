"""A rough estimate of what one GPU must hold, to refuse what clearly cannot fit and to warn where it is close.

verl's engine and vLLM take turns on the same GPUs. While vLLM generates, it holds its share of the GPU and the trainer
keeps its shard of weights, moments and reference; that sum is known well. While the trainer updates, vLLM sleeps, and
gradients, activations and logits come on top; their size is an upper estimate for replies of full length:

- activations with recomputation: 2 s h bytes a layer kept, and one layer in full, 34 s h bytes for s tokens of width h
  (Korthikanti et al. 2022, arXiv 2205.05198, section 4; attention scores left out, as FlashAttention keeps none);
- logits: s tokens x vocabulary, once in the model's type and twice in float32 (log-probabilities and their gradient).
"""

import subprocess
from dataclasses import dataclass

from training.preflight.model import ModelSize
from training.preflight.need import LinkNeed

_GB = 1e9
_MOMENTS = 2
_KEPT, _WHOLE = 2, 34  # bytes a token and unit of width
_FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """GB (1e9 bytes) of one GPU. None where the model's configuration does not tell.

    `resting` is what the trainer keeps beside vLLM; `engine_least` the least vLLM needs, its weights and the keys and
    values of one sequence; `updating` an upper estimate of the whole update of one micro-batch.
    """

    resting: float
    engine_least: float | None
    updating: float | None


def need(size: ModelSize, link: LinkNeed, gpus: int) -> GpuNeed:
    """The need of one of `gpus` GPUs."""
    shard = size.parameters / gpus
    resting = shard * (link.trained * (1 if link.offloaded else 1 + _MOMENTS) + link.reference)
    updating = None
    if size.hidden and size.layers and size.words:
        tokens = link.longest * link.micro_batch
        activations = tokens * size.hidden * (_KEPT * size.layers + _WHOLE)
        logits = tokens * size.words * (link.computing + 2 * _FLOAT32)
        updating = (resting + shard * link.trained + activations + logits) / _GB
    return GpuNeed(resting / _GB, _engine(size, link), updating)


def _engine(size: ModelSize, link: LinkNeed) -> float | None:
    if link.engine is None or not (size.layers and size.kv_heads and size.head):
        return None
    sequence = 2 * size.layers * size.kv_heads * size.head * link.computing * link.longest
    return (size.parameters * link.computing + sequence) / link.engine.parallel / _GB


def gpu_memory() -> float | None:
    """GB of the smallest GPU here, as its driver says; None when there is no driver or GPU."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    sizes = [float(one) for one in said if one.isdigit()]
    return min(sizes) * 2**20 / _GB if sizes else None  # it speaks of MiB


def faults(need: GpuNeed, capacity: float, share: float) -> tuple[list[str], list[str]]:
    """(why it cannot fit, where it may not) on a GPU of `capacity` GB of which vLLM gets the fraction `share`."""
    certain, likely = list[str](), list[str]()
    engine = share * capacity
    if need.resting + engine > capacity:
        certain.append(
            f"beside vLLM's {engine:.0f} GB (gpu_memory {share:g}) the trainer keeps {need.resting:.0f} GB on each GPU "
            f"of {capacity:.0f} GB; lower gpu_memory, offload the optimizer or take more GPUs"
        )
    if need.engine_least is not None and need.engine_least > engine:
        certain.append(
            f"vLLM needs at least {need.engine_least:.0f} GB for weights and one sequence, and gpu_memory {share:g} "
            f"gives it {engine:.0f} GB; raise gpu_memory or tensor_parallel"
        )
    if need.updating is not None and need.updating > capacity:
        likely.append(
            f"an update may need up to {need.updating:.0f} GB of each GPU's {capacity:.0f} GB with replies of full "
            f"length (a rough upper estimate); lower update_micro_batch if it runs out"
        )
    return certain, likely
