"""Measure, print a table, and write `benchmarks/latest.json`; a benchmark not run keeps its last value there."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.registry import BENCHMARKS, Benchmark

LATEST = Path(__file__).with_name("latest.json")


def _result(benchmark: Benchmark) -> dict[str, Any]:
    value = benchmark.measure()
    return {
        "value": None if value is None else float(f"{value:.4g}"),
        "unit": benchmark.unit,
        "target": benchmark.target,
        "ok": None if value is None else benchmark.ok(value),
        "how": benchmark.how,
    }


def _table(results: dict[str, dict[str, Any]]) -> Table:
    table = Table("benchmark", "value", "target", "", "how")
    for name, result in results.items():
        sign = "<=" if BENCHMARKS[name].better == "lower" else ">="
        target = "" if result["target"] is None else f"{sign} {result['target']:g}"
        verdict = {None: "", True: "ok", False: "MISSED"}[result["ok"]]
        value = "not measured" if result["value"] is None else f"{result['value']:g} {result['unit']}"
        table.add_row(name, value, target, verdict, result["how"])
    return table


def _write(results: dict[str, dict[str, Any]]) -> None:
    kept = json.loads(LATEST.read_text(encoding="utf-8")) if LATEST.exists() else {}
    merged = {name: (kept | results)[name] for name in BENCHMARKS if name in kept or name in results}
    new = LATEST.with_suffix(".tmp")
    new.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")
    new.replace(LATEST)


def main() -> int:
    """Run the named benchmarks, or all; 1 when one misses its target."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    names = arguments.parse_args().names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        arguments.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    results = {name: _result(BENCHMARKS[name]) for name in names}
    _write(results)
    Console(width=None if sys.stdout.isatty() else 140).print(_table(results))
    return int(any(result["ok"] is False for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
