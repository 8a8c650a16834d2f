"""The ground: what an import costs, how benchmarks are written, that pins are complete."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.registry import BENCHMARKS, Benchmark
from tests.support import ROOT
from tools import lock

HEAVY = {
    "argilla", "datasets", "duckdb", "huggingface_hub", "math_verify", "matplotlib", "numpy", "openai", "pandas", "PIL",
    "polars", "pyarrow", "ray", "sympy", "torch", "transformers", "verl", "vllm",
}  # fmt: skip


@pytest.mark.parametrize(
    "module", ["capcurriculum", "capcurriculum.cli", "capcurriculum.answers", "capcurriculum.rows"]
)
def test_importing_the_spine_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert HEAVY.isdisjoint(done.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom capcurriculum.cli import main\nmain(['--help'])\n"
        "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert HEAVY.isdisjoint(done.stdout.splitlines()[-1].split())


def test_a_benchmark_run_writes_its_value_and_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latest = tmp_path / "latest.json"
    monkeypatch.setattr(bench, "LATEST", latest)
    monkeypatch.setitem(BENCHMARKS, "one", Benchmark(lambda: 1.0, "s", 2.0, "lower", "a constant"))
    monkeypatch.setitem(BENCHMARKS, "two", Benchmark(lambda: 1.0, "1/s", 2.0, "higher", "another"))
    for name, code in (("one", 0), ("two", 1)):
        monkeypatch.setattr(sys, "argv", ["benchmarks", name])
        assert bench.main() == code
    written = json.loads(latest.read_text(encoding="utf-8"))
    assert written["one"] == {"value": 1.0, "unit": "s", "target": 2.0, "ok": True, "how": "a constant"}
    assert written["two"]["ok"] is False


def test_constraints_pin_exactly_what_is_installed() -> None:
    if not distribution("torch").version.endswith("+cpu"):
        pytest.skip("constraints.txt describes machines without a GPU")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split(";")[0].strip().split("==") for line in lines if line and not line.startswith("#"))
    needed = lock.closure()
    assert {name: pinned.get(name) for name in needed} == needed
    assert not lock.LEFT_OUT & pinned.keys()
    assert not [name for name in pinned if name.startswith("nvidia")]
