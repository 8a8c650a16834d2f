"""Whether the trainer's environment and machines can do what is asked, by the report of `probe`.

The trainer's own interpreter is probed when a training is about to start, never in a dry run. What a report lacks
becomes a warning that it is unknown.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.recipe.training import TrainingRecipe
from training.interpreter import ProgramError, last_error, output_of
from training.knobs import Backbone
from training.preflight.findings import Findings
from training.preflight.machine import memory
from training.preflight.machine.model import model_size
from training.preflight.machine.need import LinkNeed

#: With less shared memory NCCL and vLLM's processes fail; Docker's default is 64 MB.
_LEAST_SHARED, _ENOUGH_SHARED = 2**30, 8 * 2**30
#: Ray's recommendation; one worker per core can exhaust 1,024.
_OPEN_FILES = 65_536
#: Above this share Ray makes no more objects (its `local_fs_capacity_threshold`).
_FULL = 0.95
_GB = 1e9
_PROBE_SECONDS, _REDUCE_SECONDS = 600, 180
#: Model types with layers of linear attention, and the module of its kernels.
_LINEAR = ("qwen3_5",)
_KERNELS = "fla"
_INSTALL = "make install GPU=1 installs what belongs together"
_SHM = "in Docker give --shm-size=16g or --ipc=host"

#: Adds a finding: the check, and a text.
_Add = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training wants of each machine; None is unknown.

    `share` is the largest part of a GPU that vLLM takes, `host` the least memory for loading in GB, `parallel` the
    number of GPUs over which vLLM splits the model and its `heads`. `splits` are the numbers of GPUs over which the
    trainer splits a sequence, and with it `heads` and `kv_heads`. `linear` is whether the model has layers of linear
    attention.
    """

    gpus: int
    nodes: int
    share: float
    host: float | None
    parallel: int
    heads: int | None
    splits: tuple[int, ...] = ()
    kv_heads: int | None = None
    linear: bool = False


def asked(links: Sequence[LinkNeed], parent: Path, settings: TrainingRecipe, base: Backbone) -> Asked:
    """What the links want, of which the first starts from `parent`."""
    gpus, nodes = settings.gpus or base.gpus, settings.nodes
    engines = [link.engine for link in links if link.engine]
    size = model_size(parent)
    return Asked(
        gpus=gpus,
        nodes=nodes,
        share=max((engine.share for engine in engines), default=0.0),
        host=max(memory.host(size, link, gpus * nodes, nodes) for link in links) if size else None,
        parallel=max((engine.parallel for engine in engines), default=1),
        heads=size.heads if size else None,
        splits=tuple(sorted({link.split for link in links})),
        kv_heads=size.kv_heads if size else None,
        linear=base.model_type in _LINEAR,
    )


def note(
    python: str,
    variables: Mapping[str, str],
    asked: Asked,
    paths: Sequence[str],
    findings: Findings,
    cluster: str = "",
) -> None:
    """Probe the trainer's environment and note what would make the training fail.

    Args:
        python: the trainer's interpreter.
        variables: its environment.
        asked: what the training wants.
        paths: what must exist on every node.
        findings: gets the notes.
        cluster: the address of a Ray cluster, all of whose nodes are probed; "" for this machine.
    """
    module = ["training.preflight.machine.nodes", cluster] if cluster else ["training.preflight.machine.probe"]
    try:
        output = output_of([python, "-m", *module, *paths], variables, seconds=_PROBE_SECONDS)
    except ProgramError as error:
        findings.error("probe", f"the trainer's environment does not say what it has ({error})")
        return
    reports = output if isinstance(output, list) else [output]
    for one in reports:
        faults(one, asked, findings)
    unlike(reports, asked, findings)
    usable = not findings.errors() and all(one["cuda"] and one["cuda"]["gpus"] for one in reports)
    if asked.gpus > 1 and usable and not cluster:  # processes on other machines can be started by Ray only
        reduce(python, variables, asked.gpus, "cuda", findings)


def faults(report: Mapping[str, Any], asked: Asked, findings: Findings) -> None:
    """Note what one machine lacks."""
    on = f"{report['host']}: " if asked.nodes > 1 else ""

    def error(check: str, text: str) -> None:
        findings.error(check, f"{on}{text}")

    def warn(check: str, text: str) -> None:
        findings.warn(check, f"{on}{text}")

    for name, module in report["modules"].items():
        if module["fault"] and name != _KERNELS:
            version = f" {module['version']}" if module["version"] else ""
            error("imports", f"{name}{version} cannot be imported by the trainer ({module['fault']}); {_INSTALL}")
        elif module["fault"] and asked.linear:
            why = f"flash-linear-attention cannot be imported by the trainer ({module['fault']})"
            warn("linear_attention", f"{why}, and linear attention in torch is far slower; {_INSTALL}")
    for path in report["missing"]:
        error("paths", f"there is no {path}; every node needs it under the same name")
    if report["cuda"] is not None:
        _gpus(report["cuda"], asked, error, warn)
    _memory(report, asked, error, warn)
    if 0 <= report["open_files"] < _OPEN_FILES:
        text = f"a process may open {report['open_files']} files, and Ray wants {_OPEN_FILES} (ulimit -n)"
        warn("open_files", text)
    if report["scratch"] > _FULL:
        full = f"the disk of /tmp is {report['scratch']:.0%} full"
        warn("scratch", f"{full}; above {_FULL:.0%} Ray makes no objects; free some")


def _gpus(cuda: Mapping[str, Any], asked: Asked, error: _Add, warn: _Add) -> None:
    built, driver, gpus = cuda["built"], cuda["driver"], cuda["gpus"]
    if built is None:
        error("cuda", f"torch is built for CPUs; {_INSTALL}")
    elif driver is None:
        error("cuda", f"there is no NVIDIA driver, and torch needs one for CUDA {built}")
    elif int(driver.split(".")[0]) < int(built.split(".")[0]):  # drivers run newer builds of the same major version
        error("cuda", f"the driver runs CUDA {driver} at most, and torch is built for {built}; update the driver")
    if len(gpus) < asked.gpus:
        found = f"{len(gpus)} GPUs can be used (CUDA_VISIBLE_DEVICES counts)"
        error("gpus", f"{found}, and the training asks for {asked.gpus} a node; set training.gpus")
    for number, gpu in enumerate(gpus[: asked.gpus]):
        free, total = gpu["free"], gpu["total"]
        if free < asked.share * total:
            found = f"of GPU {number}'s {total / _GB:.0f} GB {free / _GB:.0f} are free"
            wanted = f"vLLM takes {asked.share:g} of all (gpu_memory)"
            error("gpu_in_use", f"{found}, and {wanted}; end what uses it (nvidia-smi shows it)")
        elif free < 0.95 * total:
            warn("gpu_in_use", f"{(total - free) / _GB:.0f} GB of GPU {number} are in use by something else")


def _memory(report: Mapping[str, Any], asked: Asked, error: _Add, warn: _Add) -> None:
    memory, shared, space = report["memory"], report["shared_memory"], "shared memory (/dev/shm)"
    if memory is None or asked.host is None:
        warn("host_memory", "whether this machine's memory suffices is unknown here")
    elif memory < asked.host * _GB:
        found = f"{memory / _GB:.0f} GB of memory are available, and loading takes {asked.host:.0f}"
        error("host_memory", f"{found} (weights in full precision, and the reference that is kept pinned)")
    if shared is None:
        warn("shared_memory", "there is no /dev/shm, or its size is unknown")
    elif asked.gpus > 1 and shared < _LEAST_SHARED:
        error("shared_memory", f"{shared / _GB:.2f} GB of {space} are free, too little for several GPUs; {_SHM}")
    elif shared < _ENOUGH_SHARED:
        warn("shared_memory", f"{shared / _GB:.1f} GB of {space} are free, and Ray uses the disk instead; {_SHM}")


def divided(asked: Asked, findings: Findings) -> None:
    """Note degrees of parallelism that do not divide the GPUs or the model's heads."""
    gpus, parallel, heads, kv = asked.gpus * asked.nodes, asked.parallel, asked.heads, asked.kv_heads
    if gpus % parallel:
        text = f"tensor_parallel is {parallel}, which does not divide the {gpus} GPUs; correct the knob"
        findings.error("parallel", text)
    if heads and heads % parallel:
        text = f"tensor_parallel is {parallel}, which does not divide the model's {heads} attention heads"
        findings.error("parallel", f"{text}; vLLM would refuse it")
    for split in asked.splits:
        text = f"sequence_parallel is {split}"
        if heads and heads % split:
            text += f", which does not divide the model's {heads} attention heads"
        elif kv and kv % split and split % kv:
            text += f", and of it and the model's {kv} key heads neither divides the other"
        else:
            continue
        findings.error("parallel", f"{text}; verl would refuse it")


def unlike(reports: Sequence[Mapping[str, Any]], asked: Asked, findings: Findings) -> None:
    """Note too few nodes in a cluster, and nodes whose versions differ from the first one's."""
    if len(reports) < asked.nodes:
        findings.error("nodes", f"the cluster has {len(reports)} nodes, and the training asks for {asked.nodes}")
    first, *others = (
        {"host": one["host"], "python": one["python"]}
        | {name: module["version"] for name, module in one["modules"].items()}
        for one in reports
    )
    for other in others:
        unequal = [f"{k} {v} and {other.get(k)}" for k, v in first.items() if k != "host" and v != other.get(k)]
        if unequal:
            hosts = f"{first['host']} and {other['host']}"
            findings.error("nodes", f"{hosts} have different versions ({', '.join(unequal)}); install the same")


def reduce(python: str, variables: Mapping[str, str], processes: int, device: str, findings: Findings) -> None:
    """Note if the GPUs of this machine cannot all-reduce a tensor."""
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [python, "-m", *words, "-m", "training.preflight.machine.all_reduce", device]
    try:
        done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, timeout=_REDUCE_SECONDS)
        fault = "" if done.returncode == 0 else last_error(done.stderr)
    except subprocess.TimeoutExpired:
        fault = f"no answer in {_REDUCE_SECONDS} s"
    if fault:
        ways = "NCCL_P2P_DISABLE=1 and NCCL_SHM_DISABLE=1 tell which way is broken"
        text = f"{processes} GPUs cannot add up one tensor ({fault}); NCCL_DEBUG=INFO says more, {ways}"
        findings.error("nccl", text)
