"""What a machine says of itself, and what of that keeps a training from starting."""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.recipe.training import TrainingRecipe
from datagen import micro
from tests.training.preflight.test_parts import LARGE, link
from training import knobs
from training.on_verl import environment
from training.preflight.findings import Findings, Severity
from training.preflight.machine import hardware, memory
from training.preflight.machine.hardware import Asked

WANTED = Asked(gpus=8, nodes=1, share=0.7, host=60.0, parallel=2, heads=32)
GPU = {"name": "H100", "free": 79_000_000_000, "total": 80_000_000_000}
GOOD: dict[str, Any] = {
    "host": "a",
    "python": "3.11.9",
    "modules": {name: {"version": "1", "fault": ""} for name in ("torch", "vllm", "flash_attn", "verl", "ray", "fla")},
    "missing": [],
    "cuda": {"built": "13.0", "driver": "13.0", "gpus": [GPU] * 8},
    "memory": 500_000_000_000,
    "shared_memory": 60_000_000_000,
    "open_files": 1_048_576,
    "scratch": 0.4,
}


def noted(change: dict[str, Any], wanted: Asked = WANTED) -> list[tuple[str, str, str]]:
    """(check, severity, sentence) of the findings about a machine that is good but for `change`, "a.b" -> value."""
    report = copy.deepcopy(GOOD)
    for key, value in change.items():
        place: Any = report
        *way, last = key.split(".")
        for part in way:
            place = place[part]
        place[last] = value
    findings = Findings()
    hardware.faults(report, wanted, findings)
    return [(one.check, one.severity.value, one.sentence()) for one in findings.all()]


def test_a_machine_that_has_all_is_not_spoken_of() -> None:
    assert noted({}) == []
    assert noted({"cuda.driver": "13.2"}) == []
    assert noted({"open_files": -1}) == []  # unlimited


def test_kernels_of_linear_attention_are_missed_where_a_model_has_it() -> None:
    missing = {"modules.fla": {"version": "", "fault": "it is not installed"}}
    assert noted(missing) == []
    ((check, severity, said),) = noted(missing, dataclasses.replace(WANTED, linear=True))
    assert (check, severity) == ("linear_attention", "warning")
    assert "flash-linear-attention cannot be imported by the trainer (it is not installed)" in said


@pytest.mark.parametrize(
    ("change", "check", "severity", "said"),
    [
        ({"modules.flash_attn": {"version": "2.8.3", "fault": "ImportError: undefined symbol"}}, "imports", "error",
         "flash_attn 2.8.3 cannot be imported by the trainer (ImportError: undefined symbol); make install GPU=1"),
        ({"modules.vllm": {"version": "", "fault": "it is not installed"}}, "imports", "error", "vllm cannot be"),
        ({"missing": ["/data/run"]}, "paths", "error", "there is no /data/run; every node needs it"),
        ({"cuda.built": None}, "cuda", "error", "torch is built for CPUs"),
        ({"cuda.driver": None}, "cuda", "error", "no NVIDIA driver"),
        ({"cuda.driver": "12.8"}, "cuda", "error", "runs CUDA 12.8 at most, and torch is built for 13.0"),
        ({"cuda.gpus": [GPU] * 4}, "gpus", "error", "4 GPUs can be used (CUDA_VISIBLE_DEVICES counts), and"),
        ({"cuda.gpus": [GPU | {"free": 50_000_000_000}] * 8}, "gpu_in_use", "error",
         "of GPU 0's 80 GB 50 are free, and vLLM takes 0.7 of all"),
        ({"cuda.gpus": [GPU | {"free": 70_000_000_000}] * 8}, "gpu_in_use", "warning", "10 GB of GPU 0 are in use"),
        ({"memory": 30_000_000_000}, "host_memory", "error", "30 GB of memory are available, and loading takes 60"),
        ({"memory": None}, "host_memory", "warning", "is unknown here"),
        ({"shared_memory": 64 * 2**20}, "shared_memory", "error", "0.07 GB of shared memory (/dev/shm) are free, too"),
        ({"shared_memory": 2 * 2**30}, "shared_memory", "warning", "Ray uses the disk instead"),
        ({"shared_memory": None}, "shared_memory", "warning", "there is no /dev/shm"),
        ({"open_files": 1024}, "open_files", "warning", "may open 1024 files, and Ray wants 65536 (ulimit -n)"),
        ({"scratch": 0.97}, "scratch", "warning", "/tmp is 97% full; above 95%"),
    ],
)  # fmt: skip
def test_what_a_machine_lacks_is_said(change: dict[str, Any], check: str, severity: str, said: str) -> None:
    found = noted(change)
    assert {one[:2] for one in found} == {(check, severity)}
    assert said in found[0][2]


def test_machines_are_named_where_there_are_several() -> None:
    ((_, _, said),) = noted({"memory": 1_000_000_000}, Asked(8, 2, 0.7, 60.0, 2, 32))
    assert said.startswith("a: 1 GB of memory")


def test_a_split_that_does_not_divide_is_refused() -> None:
    findings = Findings()
    hardware.divided(WANTED, findings)
    hardware.divided(Asked(8, 1, 0.7, None, 2, None), findings)
    assert findings.all() == []
    hardware.divided(Asked(8, 1, 0.7, None, 3, 28), findings)
    assert [one.text for one in findings.errors()] == [
        "tensor_parallel is 3, which does not divide the 8 GPUs; correct the knob",
        "tensor_parallel is 3, which does not divide the model's 28 attention heads; vLLM would refuse it",
    ]
    findings = Findings()
    hardware.divided(Asked(8, 1, 0.7, None, 1, 32, splits=(1, 2, 4, 16), kv_heads=8), findings)
    hardware.divided(Asked(8, 1, 0.7, None, 1, None, splits=(3,)), findings)
    assert findings.all() == []
    hardware.divided(Asked(8, 1, 0.7, None, 1, 28, splits=(1, 8), kv_heads=4), findings)
    hardware.divided(Asked(8, 1, 0.7, None, 1, 24, splits=(4,), kv_heads=6), findings)
    assert [one.text for one in findings.errors()] == [
        "sequence_parallel is 8, which does not divide the model's 28 attention heads; verl would refuse it",
        "sequence_parallel is 4, and of it and the model's 6 key heads neither divides the other; verl would refuse it",
    ]


def test_nodes_with_other_versions_or_too_few_are_refused() -> None:
    other = copy.deepcopy(GOOD) | {"host": "b"}
    findings = Findings()
    hardware.unlike([GOOD, other], Asked(8, 2, 0.7, 60.0, 2, 32), findings)
    assert findings.all() == []
    other["modules"]["vllm"]["version"] = "2"
    hardware.unlike([GOOD, other], Asked(8, 3, 0.7, 60.0, 2, 32), findings)
    assert [one.text for one in findings.errors()] == [
        "the cluster has 2 nodes, and the training asks for 3",
        "a and b have different versions (vllm 1 and 2); install the same",
    ]


def test_what_is_asked_comes_from_the_links_and_the_model() -> None:
    settings = TrainingRecipe(backbone="qwen3_vl_8b", nodes=2)
    asked = hardware.asked([link(), link()], micro.checkpoint("start"), settings, knobs.backbone("qwen3_vl_8b"))
    assert (asked.gpus, asked.nodes, asked.share, asked.parallel, asked.heads) == (8, 2, 0.7, 1, 4)
    assert (asked.splits, asked.kv_heads) == ((1,), 4)
    assert asked.host is not None
    unknown = hardware.asked([link()], Path("/nowhere"), settings, knobs.backbone("qwen3_vl_8b"))
    assert (unknown.host, unknown.heads) == (None, None)


def test_loading_takes_the_weights_in_full_and_the_reference_once() -> None:
    assert memory.host(LARGE, link(), 8, 1) == pytest.approx(8.77 * (4 + 2))
    assert memory.host(LARGE, link(), 16, 2) == pytest.approx(8.77 * (4 + 1))
    assert memory.host(LARGE, link(offloaded=True), 8, 1) == pytest.approx(8.77 * (4 + 2 + 8))


def test_an_interpreter_that_says_nothing_is_an_error_with_its_last_error(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(
        "#!/bin/sh\necho 'Traceback' >&2\necho 'ModuleNotFoundError: No module named training' >&2\nexit 1\n"
    )
    python.chmod(0o755)
    findings = Findings()
    hardware.note(str(python), dict(os.environ), WANTED, [], findings)
    (error,) = findings.errors()
    assert error.text.endswith("does not say what it has (ModuleNotFoundError: No module named training)")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_this_machine_is_asked_for_real(tmp_path: Path) -> None:
    """The probe runs in the trainer's environment, here one for CPUs, and says so."""
    findings = Findings()
    wanted = Asked(gpus=1, nodes=1, share=0.7, host=0.1, parallel=1, heads=2)
    hardware.note(sys.executable, environment.trainer_environment("cuda"), wanted, ["/nowhere/at/all"], findings)
    found = {one.check: one for one in findings.errors()}
    assert set(found) == {"imports", "paths", "cuda", "gpus"}
    assert "flash_attn cannot be imported by the trainer (it is not installed)" in found["imports"].text
    assert "torch is built for CPUs" in found["cuda"].text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_reach_each_other_add_up_and_a_broken_one_is_said() -> None:
    variables = environment.trainer_environment("cpu") | {"GLOO_SOCKET_IFNAME": "lo"}
    findings = Findings()
    hardware.reduce(sys.executable, variables, 2, "cpu", findings)
    assert findings.all() == []
    hardware.reduce(sys.executable, variables, 2, "cuda", findings)
    (error,) = findings.errors()
    assert error.severity is Severity.ERROR
    assert error.text.startswith("2 GPUs cannot add up one tensor (")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_node_of_a_cluster_is_asked() -> None:
    """Two raylets on this machine stand for two nodes."""
    script = """
import json, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
from training.preflight.machine import nodes
found = nodes.reports(cluster.address, ["/nowhere"])
print("\\n" + json.dumps([[one["python"], one["missing"], sorted(one["modules"])] for one in found]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment.trainer_environment("cpu"), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(found) == 2
    assert all(one[1:] == [["/nowhere"], ["fla", "flash_attn", "ray", "torch", "verl", "vllm"]] for one in found)
