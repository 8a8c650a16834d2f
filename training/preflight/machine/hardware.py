"""Whether the environment and the machines that train can do it: what `probe` says, held against what is asked.

Everything here is asked of the trainer's own interpreter when a training is about to start, never in a dry run. What it
does not say is warned of as unknown.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.recipe.training import TrainingRecipe
from training.knobs import Backbone
from training.preflight.findings import Findings
from training.preflight.machine import memory
from training.preflight.machine.model import model_size
from training.preflight.machine.need import LinkNeed

#: Below this much shared memory NCCL and vLLM's processes fail; Docker gives 64 MB unless told.
_LEAST_SHARED, _ENOUGH_SHARED = 2**30, 8 * 2**30
#: Ray asks for as many; 1,024 run out with a worker a core.
_OPEN_FILES = 65_536
#: Above this share Ray makes no more objects (its `local_fs_capacity_threshold`).
_FULL = 0.95
_GB = 1e9
_PROBE_SECONDS, _REDUCE_SECONDS = 600, 180
#: Kinds of models with layers of linear attention, whose kernels are in a module of their own.
_LINEAR = ("qwen3_5",)
_KERNELS = "fla"
_INSTALL = "make install GPU=1 installs what belongs together"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training wants of each machine.

    `share` is the largest part of a GPU that vLLM takes, `host` the GB of memory that loading takes at least,
    `parallel` over how many GPUs vLLM splits the model, and `heads` the attention heads that it then splits; `splits`
    are over how many the trainer splits a sequence, and with it the heads and `kv_heads`. None is unknown.
    `linear` is whether layers of the model are linear attention.
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
    """What the links to come want, the first of which starts from `parent`."""
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
    """Ask the trainer's environment, on every node of a `cluster` if there is one, and note what stands in the way.

    Args:
        python: the trainer's interpreter.
        variables: its environment.
        asked: what the training wants.
        paths: what every node must have under the same name.
        findings: where it is noted.
        cluster: the address of a Ray cluster.
    """
    words = ["training.preflight.machine.nodes", cluster] if cluster else ["training.preflight.machine.probe"]
    said = _json([python, "-m", *words, *paths], variables, _PROBE_SECONDS, findings)
    if said is None:
        return
    reports = said if isinstance(said, list) else [said]
    for one in reports:
        faults(one, asked, findings)
    unlike(reports, asked, findings)
    whole = not findings.errors() and all(one["cuda"] and one["cuda"]["gpus"] for one in reports)
    if asked.gpus > 1 and whole and not cluster:  # of a cluster's other machines only Ray can start a process
        reduce(python, variables, asked.gpus, "cuda", findings)


def faults(report: Mapping[str, Any], asked: Asked, findings: Findings) -> None:
    """Note what one machine lacks."""
    on = f"{report['host']}: " if asked.nodes > 1 else ""
    for name, module in report["modules"].items():
        if module["fault"] and name == _KERNELS:
            if asked.linear:
                findings.warn(
                    "linear_attention",
                    f"{on}flash-linear-attention cannot be imported by the trainer ({module['fault']}), and linear "
                    f"attention in torch is far slower; {_INSTALL}",
                )
        elif module["fault"]:
            version = f" {module['version']}" if module["version"] else ""
            findings.error(
                "imports", f"{on}{name}{version} cannot be imported by the trainer ({module['fault']}); {_INSTALL}"
            )
    for path in report["missing"]:
        findings.error("paths", f"{on}there is no {path}; every node needs it under the same name")
    if report["cuda"] is not None:
        _gpus(on, report["cuda"], asked, findings)
    _machine(on, report, asked, findings)


def _gpus(on: str, cuda: Mapping[str, Any], asked: Asked, findings: Findings) -> None:
    built, driver, gpus = cuda["built"], cuda["driver"], cuda["gpus"]
    if built is None:
        findings.error("cuda", f"{on}torch is built for CPUs; {_INSTALL}")
    elif driver is None:
        findings.error("cuda", f"{on}there is no NVIDIA driver, and torch needs one for CUDA {built}")
    elif _parts(driver)[:1] < _parts(built)[:1]:  # within a major version older drivers run newer builds
        findings.error(
            "cuda", f"{on}the driver runs CUDA {driver} at most, and torch is built for {built}; update the driver"
        )
    if len(gpus) < asked.gpus:
        findings.error(
            "gpus",
            f"{on}{len(gpus)} GPUs can be used (CUDA_VISIBLE_DEVICES counts), and the training asks for {asked.gpus} a "
            f"node; set training.gpus",
        )
    for number, gpu in enumerate(gpus[: asked.gpus]):
        if gpu["free"] < asked.share * gpu["total"]:
            findings.error(
                "gpu_in_use",
                f"{on}of GPU {number}'s {gpu['total'] / _GB:.0f} GB {gpu['free'] / _GB:.0f} are free, and vLLM takes "
                f"{asked.share:g} of all (gpu_memory); end what uses it (nvidia-smi shows it)",
            )
        elif gpu["free"] < 0.95 * gpu["total"]:
            used = (gpu["total"] - gpu["free"]) / _GB
            findings.warn("gpu_in_use", f"{on}{used:.0f} GB of GPU {number} are in use by something else")


def divided(asked: Asked, findings: Findings) -> None:
    """Note where the model cannot be split as it is asked for."""
    whole = asked.gpus * asked.nodes
    if whole % asked.parallel:
        text = f"tensor_parallel is {asked.parallel}, which does not divide the {whole} GPUs"
        findings.error("parallel", f"{text}; correct the knob")
    if asked.heads and asked.heads % asked.parallel:
        text = f"tensor_parallel is {asked.parallel}, which does not divide the model's {asked.heads} attention heads"
        findings.error("parallel", f"{text}; vLLM would refuse it")
    for split in asked.splits:
        text, kv = f"sequence_parallel is {split}", asked.kv_heads
        if asked.heads and asked.heads % split:
            text = f"{text}, which does not divide the model's {asked.heads} attention heads"
            findings.error("parallel", f"{text}; verl would refuse it")
        elif kv and kv % split and split % kv:
            text = f"{text}, and of it and the model's {kv} key heads neither divides the other"
            findings.error("parallel", f"{text}; verl would refuse it")


def _machine(on: str, report: Mapping[str, Any], asked: Asked, findings: Findings) -> None:
    memory, shared, space = report["memory"], report["shared_memory"], "shared memory (/dev/shm)"
    if memory is None or asked.host is None:
        findings.warn("host_memory", f"{on}whether this machine's memory suffices is unknown here")
    elif memory < asked.host * _GB:
        findings.error(
            "host_memory",
            f"{on}{memory / _GB:.0f} GB of memory are available, and loading takes {asked.host:.0f} (weights in full "
            f"precision, and the reference that is kept pinned)",
        )
    if shared is None:
        findings.warn("shared_memory", f"{on}there is no /dev/shm, or its size is unknown")
    elif asked.gpus > 1 and shared < _LEAST_SHARED:
        findings.error(
            "shared_memory", f"{on}{shared / _GB:.2f} GB of {space} are free, too little for several GPUs; {_SHM}"
        )
    elif shared < _ENOUGH_SHARED:
        findings.warn(
            "shared_memory", f"{on}{shared / _GB:.1f} GB of {space} are free, and Ray uses the disk instead; {_SHM}"
        )
    if 0 <= report["open_files"] < _OPEN_FILES:
        findings.warn(
            "open_files",
            f"{on}a process may open {report['open_files']} files, and Ray wants {_OPEN_FILES} (ulimit -n)",
        )
    if report["scratch"] > _FULL:
        findings.warn(
            "scratch",
            f"{on}the disk of /tmp is {report['scratch']:.0%} full; above {_FULL:.0%} Ray makes no objects; free some",
        )


_SHM = "in Docker give --shm-size=16g or --ipc=host"


def unlike(reports: Sequence[Mapping[str, Any]], asked: Asked, findings: Findings) -> None:
    """Note where the nodes of a cluster are too few, or differ."""
    if len(reports) < asked.nodes:
        findings.error("nodes", f"the cluster has {len(reports)} nodes, and the training asks for {asked.nodes}")
    first = reports[0]
    for one in reports[1:]:
        was = {"python": first["python"]} | {name: told["version"] for name, told in first["modules"].items()}
        now = {"python": one["python"]} | {name: told["version"] for name, told in one["modules"].items()}
        unequal = ", ".join(f"{name} {was[name]} and {now[name]}" for name in was if was[name] != now.get(name))
        if unequal:
            findings.error(
                "nodes", f"{first['host']} and {one['host']} have different versions ({unequal}); install the same"
            )


def reduce(python: str, variables: Mapping[str, str], processes: int, device: str, findings: Findings) -> None:
    """Note whether the GPUs of this machine cannot add up one tensor."""
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [python, "-m", *words, "-m", "training.preflight.machine.all_reduce", device]
    try:
        done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, timeout=_REDUCE_SECONDS)
        fault = "" if done.returncode == 0 else _why(done.stderr)
    except subprocess.TimeoutExpired:
        fault = f"no answer in {_REDUCE_SECONDS} s"
    if fault:
        findings.error(
            "nccl", f"{processes} GPUs cannot add up one tensor ({fault}); NCCL_DEBUG=INFO says more, "
            f"NCCL_P2P_DISABLE=1 and NCCL_SHM_DISABLE=1 tell which way is broken"
        )  # fmt: skip


def _json(command: Sequence[str], variables: Mapping[str, str], seconds: int, findings: Findings) -> Any:
    """The last line that a probe prints; None, with a finding, where it prints none."""
    try:
        done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        findings.error("probe", f"the trainer's environment does not say what it has ({error})")
        return None
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        findings.error("probe", f"the trainer's environment does not say what it has ({_why(done.stderr)})")
        return None


def _why(text: str) -> str:
    """The line of a traceback that says most: the last that names an error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it says nothing"]
    named = [line for line in lines if "Error" in line.split(":")[0].split(" ")[-1]]
    return (named or lines)[-1][:300]


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
