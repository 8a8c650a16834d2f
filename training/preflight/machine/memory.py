"""A rough estimate of GPU and host memory, to refuse what clearly cannot fit and to warn if it is close.

While vLLM generates, it holds its share of a GPU, and the trainer keeps its shard of weights and moments except for
what is offloaded. While the trainer works, vLLM sleeps, offloaded parts are back (moments only in an update), and a
pass needs:

- gradients, in an update;
- activations with recomputation: 2 s h bytes per layer, and 34 s h for one layer in full, for s tokens of width h
  (Korthikanti et al. 2022, arXiv 2205.05198, section 4, without attention scores, which FlashAttention does not keep);
- logits: s tokens x vocabulary, once in the model's type, and in an update twice in float32 (log-probabilities and
  their gradient), else three times in the model's type (their softmax, and its product with them for the entropy).
  verl's fused kernels compute them for 512 tokens at once (`verl/utils/experimental/torch_functional.py`).

With adapters only they have moments and gradients. The vision tower's activations are not counted. Under FSDP2 verl
0.9.1 keeps the reference model in pinned host memory (`verl/workers/engine/fsdp/transformer_impl.py`,
`CPUOffloadPolicy`), where also the first process, or with tied embeddings every process, loads all weights before they
are sharded.
"""

import subprocess
from dataclasses import dataclass

from capcurriculum.trust import child_environment
from training.preflight.machine.model import ModelSize
from training.preflight.machine.need import LinkNeed

_GB = 1e9
_MOMENTS = 2
_KEPT, _WHOLE = 2, 34  # bytes per token and unit of width
_FLOAT32 = 4
_CHUNK = 512  # tokens
_CHUNK_COPIES = 4  # of a chunk's logits in float32: logits, softmax, target, gradient


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """GB (1e9 bytes) of one GPU; None if the model's configuration lacks a number.

    `resting` is what the trainer keeps beside vLLM; `engine_least` vLLM's minimum, its weights and the keys and values
    of one sequence; `updating` an upper estimate of the largest pass of an update, `asking` of the largest that only
    computes log-probabilities. `least` is a lower bound of the larger of the two, with logits once.
    """

    resting: float
    engine_least: float | None
    updating: float | None
    asking: float | None
    least: float | None


def need(size: ModelSize, link: LinkNeed, gpus: int) -> GpuNeed:
    """The need of one of `gpus` GPUs."""
    held, trained = (number * link.trained / gpus for number in link.numbers(size))
    moments = _MOMENTS * trained
    weights, kept_moments = (0 if link.offloaded_weights else held), (0 if link.offloaded else moments)
    resting = weights + kept_moments
    if not (size.hidden and size.layers and size.words):
        return GpuNeed(resting / _GB, _engine(size, link), None, None, None)
    gradients, passes, words = trained, link.passes, size.words
    kept = passes.update * size.hidden * (_KEPT * size.layers + _WHOLE)
    asked = passes.log_prob * size.hidden * _WHOLE
    once, updated = words * link.computing, words * (link.computing + 2 * _FLOAT32)
    logits, answers = passes.update * updated, passes.log_prob * 3 * once
    # Passes that are not filled reach full length only if every reply does; the lower bound is half of it.
    sure = 1.0 if passes.filled else 0.5
    least = sure * max(passes.update * once + gradients / sure, passes.log_prob * once)
    if passes.fused:
        chunk = _CHUNK * words * (link.computing + _CHUNK_COPIES * _FLOAT32)
        logits, answers, least = chunk, chunk if passes.log_prob else 0, gradients
    return GpuNeed(
        resting=resting / _GB,
        engine_least=_engine(size, link),
        updating=(held + moments + gradients + kept + logits) / _GB,
        asking=(held + kept_moments + asked + answers) / _GB if passes.log_prob else None,
        least=(held + kept_moments + least) / _GB,
    )


def _engine(size: ModelSize, link: LinkNeed) -> float | None:
    if link.engine is None or not (size.layers and size.kv_heads and size.head):
        return None
    layers = size.layers if size.attending is None else size.attending
    sequence = 2 * layers * size.kv_heads * size.head * link.computing * link.longest
    return (size.parameters * link.computing + sequence) / link.engine.parallel / _GB


def host(size: ModelSize, link: LinkNeed, gpus: int, nodes: int) -> float:
    """GB of the first node's host memory: weights while they are loaded, and what is pinned meanwhile.

    Args:
        size: of the model.
        link: what is trained.
        gpus: of all nodes together.
        nodes: their number.
    """
    held, trained = link.numbers(size)
    loading = size.parameters * link.trained * (gpus // nodes if size.tied else 1)
    moments = _MOMENTS * link.trained * trained if link.offloaded else 0
    weights = link.trained * held if link.offloaded_weights else 0
    kept = (size.parameters * link.reference + moments + weights) / nodes
    return (loading + kept) / _GB


def gpu_memory() -> float | None:
    """GB of the smallest GPU of this machine; None without a driver or GPU."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]  # in MiB
    variables = child_environment.environment({})
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    sizes = [float(one) for one in done.stdout.split() if one.isdigit()]
    return min(sizes) * 2**20 / _GB if sizes else None


def faults(need: GpuNeed, link: LinkNeed, capacity: float) -> tuple[list[str], list[str]]:
    """(errors: it cannot fit, warnings: it may not) on a GPU of `capacity` GB."""
    certain, likely = list[str](), list[str]()
    share = link.engine.share if link.engine else 0.0
    engine = share * capacity
    passes = "tokens_per_gpu" if link.passes.filled else "update_micro_batch and log_prob_micro_batch"
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
    if need.least is not None and need.least > capacity:
        certain.append(
            f"the largest pass over the model takes at least {need.least:.0f} GB of each GPU's {capacity:.0f} GB; "
            f"lower {passes}, or take more GPUs"
        )
        return certain, likely
    for what, wanted in (("an update", need.updating), ("computing log-probabilities", need.asking)):
        if wanted is not None and wanted > capacity:
            likely.append(
                f"{what} may need up to {wanted:.0f} GB of each GPU's {capacity:.0f} GB (a rough upper estimate); "
                f"lower {passes} if it runs out"
            )
    return certain, likely
