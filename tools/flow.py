"""Which files a command enters, and how often it goes back up: `python -m tools.flow RECIPE`.

Walks, one after the other, each traced in a process of its own: a build of RECIPE, the same build after a filter was
added (one filter phase), an order, the dry run of the training, and the dry run of the publication. A file counts when
one of its functions runs; imports do not count, nor do the processes that a walk starts. A call is a return to a higher
layer when the caller's file does not import the callee's, directly or through others: a callback, a generator, or a
method of an object that was handed down. So is what is imported by its name, as filters are. Distinct pairs of files
are counted, not calls.
"""

import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import grimp

import capcurriculum

ROOT = Path(capcurriculum.__file__).parents[1]
ROOMS = tuple(sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests", "tools"}))


class Trace:
    """The product's files in which functions ran, and the pairs of files between which a call went up."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.calls: set[tuple[str, str]] = set()
        self._names: dict[str, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profile function, see `sys.setprofile`."""
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        callee = self._name(frame.f_code.co_filename)
        if not callee:
            return
        self.files.add(callee)
        caller = frame.f_back and self._name(frame.f_back.f_code.co_filename)
        if caller and caller != callee:
            self.calls.add((caller, callee))

    def _name(self, path: str) -> str:
        """The path below the project's root of one of the product's modules, else nothing."""
        if path not in self._names:
            inside = path.startswith(f"{ROOT}/") and path.endswith(".py") and "/.venv/" not in path
            name = path[len(f"{ROOT}/") :] if inside else ""
            self._names[path] = name if name.split("/")[0] in ROOMS else ""
        return self._names[path]


def returns(calls: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those pairs whose caller does not import the callee."""
    graph = grimp.build_graph(*ROOMS)
    pairs = ((module(below), module(above)) for below, above in sorted(calls))
    return [pair for pair in pairs if not graph.chain_exists(importer=pair[0], imported=pair[1])]


def module(path: str) -> str:
    """The dotted name of a file below the project's root."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def traced(arguments: list[str]) -> dict[str, Any]:
    """Run the command line in this process under a trace."""
    from capcurriculum import cli

    trace = Trace()
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = cli.main(arguments)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {"code": code, "files": sorted(trace.files), "up": returns(trace.calls)}


def walks(recipe: Path, folder: Path) -> dict[str, list[str]]:
    """Names of the walks with the arguments of each; those after the first go on from its run."""
    shutil.copytree(recipe.parent, folder, dirs_exist_ok=True)  # a recipe extends those of its own folder alone
    head = f"extends: {recipe.name}\nname: walk\n"
    first, changed = folder / "walk.yaml", folder / "changed.yaml"
    first.write_text(head, encoding="utf-8")
    filters = "[readable, wellformed, leak, perception, rollouts, difficulty]"
    changed.write_text(f"{head}filters: {filters}\n", encoding="utf-8")
    return {
        "build": ["build", str(first)],
        "filter phase": ["build", str(changed)],
        "order": ["curriculum", "walk", "--order", "capability", "--replay", "0.3"],
        "training, dry run": ["train", str(changed), "--dry-run"],
        "publication, dry run": ["publish", "walk", "--namespace", "nobody", "--dry-run"],
    }


def main() -> None:
    """Print a line for each walk, or with `--one` do one and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.flow", description="Files that commands enter.")
    parser.add_argument("recipe", nargs="?", type=Path, default=ROOT / "curricula" / "recipes" / "demo_quick.yaml")
    parser.add_argument("--one", nargs=argparse.REMAINDER)
    parser.add_argument("--verbose", action="store_true", help="name the pairs of files between which a call goes up")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(traced(asked.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in walks(asked.recipe, Path(folder)).items():
            command = [sys.executable, __file__, "--one", *arguments]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode or not done.stdout.startswith("{"):
                raise SystemExit(f"{name}: {done.stderr[-2000:]}")
            found = json.loads(done.stdout)
            if found["code"]:
                raise SystemExit(f"{name}: {done.stderr[-2000:]}")
            print(f"{name}: {len(found['files'])} files, {len(found['up'])} returns to a higher layer", flush=True)
            if asked.verbose:
                print("\n".join(f"    {below} -> {above}" for below, above in found["up"]))


if __name__ == "__main__":
    main()
