"""The grader and the help work with the base requirements alone, and a verb that needs more says so."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from capcurriculum import extras, unforeseen
from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Refuses every module but Python's own, those named, and this project's; then does what follows.
REFUSING = """
import sys
allowed = set(sys.stdlib_module_names) | set(sys.argv[1].split(","))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Refuse())
"""
GRADING = r"""
from training.reward import compute_score
for reply, gold, score in ((r"<think>x</think>\boxed{3.5}", "7/2", 1.0), (r"\boxed{B}", "A", 0.0)):
    options = {} if gold == "7/2" else {"options": ["a", "b", "c", "d"]}
    assert compute_score("", reply, gold, options)["score"] == score
# Through a worker of math-verify, which is a process of its own.
reply = r"<think>x</think>\boxed{\int_0^1 2x\,dx}"
assert compute_score("", reply, r"\int_0^1 2x dx", {})["score"] == 1.0
"""


def modules(requirements: list[str]) -> set[str]:
    """The modules of these requirements and of all that they require, as installed here."""
    provided: dict[str, set[str]] = {}
    for module, owners in packages_distributions().items():
        for owner in owners:
            provided.setdefault(canonicalize_name(owner), set()).add(module)
    found, seen, waiting = set[str](), set[str](), [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        found |= provided.get(name, set())
        try:
            waiting += [Requirement(text) for text in distribution(name).requires or []]
        except PackageNotFoundError:
            continue
    return found


def under(allowed: set[str], program: str) -> "subprocess.CompletedProcess[str]":
    own = {"capcurriculum", "training"}
    words = [sys.executable, "-c", REFUSING + program, ",".join(sorted(allowed | own))]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def test_the_reward_needs_the_base_requirements_alone() -> None:
    base = modules(PROJECT["dependencies"])
    assert not base & extras.MODULES
    done = under(base, GRADING)
    assert done.returncode == 0, done.stderr


def test_the_hook_refuses_what_is_not_in_the_list() -> None:
    done = under(modules(PROJECT["dependencies"]), "import polars")
    assert "No module named 'polars'" in done.stderr


def test_an_environment_needs_the_base_and_its_own_extra() -> None:
    more = PROJECT["optional-dependencies"]["environment"]
    program = "from capcurriculum.engines import rows, scoring, source\nimport huggingface_hub, pyarrow.parquet"
    done = under(modules([*PROJECT["dependencies"], *more]), program)
    assert done.returncode == 0, done.stderr


def test_help_is_shown_and_a_verb_names_the_extra() -> None:
    program = "from capcurriculum import cli\nassert cli.main(['build', '--help']) == 0\nsys.exit(cli.main(['runs']))"
    done = under(modules(PROJECT["dependencies"]), program)
    assert done.returncode == 2
    assert "pip install 'capcurriculum[build]==" in " ".join(done.stderr.split())


def test_the_list_of_modules_is_that_of_the_extra() -> None:
    both = [*PROJECT["optional-dependencies"]["build"], *PROJECT["optional-dependencies"]["environment"]]
    names = {canonicalize_name(Requirement(text).name) for text in both} - {"capcurriculum"}
    owners = packages_distributions()
    assert {canonicalize_name(owner) for module in extras.MODULES for owner in owners[module]} == names


@pytest.mark.parametrize("name", ["no_such_module", "polars.inner", None])
def test_other_imports_that_fail_are_bugs(name: str | None) -> None:
    assert extras.missing(ModuleNotFoundError("x", name=name)) == ""
    assert extras.missing(ImportError("x", name="polars")) == ""
    assert unforeseen.told(ModuleNotFoundError("x", name="polars"))[0] == unforeseen.MENDABLE
