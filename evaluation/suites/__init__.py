"""Suites: benchmarks in groups, the engine that asks them, and judges for replies that no program can grade.

`main` and `extended` are the paper's and come with the package. A suite is also a YAML file of that form, a single
benchmark file, or the test rows of a run.
"""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from capcurriculum import consent
from capcurriculum import run as runs
from capcurriculum.consent import Wish
from capcurriculum.did_you_mean import meant
from capcurriculum.errors import EvaluationError, RunError
from capcurriculum.recipe import yaml_file
from capcurriculum.recipe.models import DEFAULT_KEY
from capcurriculum.recipe.yaml_file import YamlProblem
from capcurriculum.trust import endpoint_urls
from capcurriculum.trust.headers import KeyVariable
from capcurriculum.validation import faults
from curricula import make
from evaluation.benchmarks import stage_files

EngineName = Literal["own", "vlmevalkit", "lmms-eval"]
BUILT_IN = ("main", "extended")
_TABLES = (".tsv", ".parquet")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Judge(_Record):
    """A judge: a model at an OpenAI-compatible endpoint, with its key in `api_key_env`, or an id of Amazon Bedrock."""

    model: str = ""
    base_url: Annotated[str, AfterValidator(lambda url: endpoint_urls.checked(url) if url else url)] = ""
    api_key_env: KeyVariable = DEFAULT_KEY
    bedrock: str = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Judge":
        if bool(self.bedrock) == bool(self.base_url) or bool(self.base_url) != bool(self.model):
            raise ValueError("a judge has a base_url and a model, or is one of bedrock")
        if self.base_url:
            endpoint_urls.check_hub_token(self.api_key_env, self.base_url)
        return self


class Entry(_Record):
    """A benchmark: its `name` in the engine (with its `class` in VLMEvalKit), or a `file`.

    `images` is the maximum number in a sample, `lmms` the task of lmms-eval, `group` the average that it belongs to.
    """

    name: str
    kit_class: Annotated[str, Field(alias="class", pattern=r"^\w*$")] = ""
    group: str = ""
    file: Path | None = None
    images: PositiveInt = 1
    lmms: str = ""


class Suite(_Record):
    """A named list of benchmarks."""

    name: str
    engine: EngineName = "own"
    judge: str = ""
    judges: Mapping[str, Judge] = {}
    benchmarks: Annotated[tuple[Entry, ...], Field(min_length=1)]


def load(name: str) -> Suite:
    """The suite called `name`; raises `EvaluationError` if there is no such suite, or its file is invalid."""
    path = Path(name)
    if name in BUILT_IN:
        return _parsed(yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")), name)
    if path.suffix.lower() in _TABLES:
        if not path.is_file():
            raise EvaluationError(f"There is no benchmark file {path}.")
        return Suite(name=path.stem, benchmarks=(Entry(name=path.stem, file=path.absolute()),))
    if is_file(name):
        return _parsed(_read(path), name, path.parent)
    return _of_run(name)


def _read(path: Path) -> object:
    try:
        return yaml_file.read(path)
    except OSError as error:
        raise EvaluationError(f"The suite {path} cannot be read ({error.strerror}); check the path.") from error
    except YamlProblem as problem:
        raise EvaluationError(f"The suite {path} is no YAML: {str(problem)[:200]}.") from problem


def wishes(suite: Suite) -> tuple[Wish, ...]:
    """What a suite's judges would be sent, for the user's consent."""
    found = []
    for name, judge in suite.judges.items():
        if judge.bedrock:
            text = f"send replies to {judge.bedrock} of Amazon Bedrock, with this machine's credentials"
            found.append(Wish(consent.JUDGES, text))
        else:
            found += consent.to_endpoint(consent.JUDGES, f"the judge {name}", judge.base_url, judge.api_key_env)
    return tuple(sorted(set(found)))


def is_file(name: str) -> bool:
    """Whether `name` is a suite's YAML file; raises `EvaluationError` for a file that cannot be read."""
    path = Path(name)
    if name in BUILT_IN or path.suffix.lower() in _TABLES or not os.path.isfile(path):
        return False  # Path.is_file would raise for a name that is too long
    data = _read(path)
    return isinstance(data, dict) and "benchmarks" in data


def _parsed(data: Any, name: str, folder: Path | None = None) -> Suite:
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise EvaluationError(f"The suite {name} is invalid: {faults(error, Suite, data)}; correct it.") from error
    if folder is None:
        return suite
    placed = [e.model_copy(update={"file": (folder / e.file).absolute()}) if e.file else e for e in suite.benchmarks]
    return suite.model_copy(update={"benchmarks": tuple(placed)})


def _of_run(name: str) -> Suite:
    try:
        run = runs.named(name)
    except RunError as error:
        raise EvaluationError(
            f"There is no suite {name!r}{meant(name, (*BUILT_IN, *runs.names(Path('runs'))))}: name "
            f"{' or '.join(BUILT_IN)}, a suite's YAML file, a TSV or Parquet file, or a run whose test rows are asked."
        ) from error
    make.check_belongs(run, runs.recipe_of(name), run.stages)
    found = stage_files.test_files(run)
    entries = tuple(Entry(name=key, file=path.absolute()) for key, path in found.items())
    return Suite(name=run.path.resolve().name, benchmarks=entries)
