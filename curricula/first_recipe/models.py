"""Which models a first recipe names: those of an endpoint, as it lists them itself, or the shipped micro models."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from capcurriculum.errors import EngineError, RunError
from capcurriculum.recipe.models import DEFAULT_KEY
from capcurriculum.render.terminal import visible
from capcurriculum.trust import endpoint_urls, headers
from curricula.first_recipe import ask
from datagen.engines.openai import served_models
from datagen.micro import PREFIX

#: The models of curricula/recipes/demo.yaml.
MICRO_TEACHER, MICRO_SOLVER = "micro:solver_b", "micro:hedging"
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Named:
    """What the user named: an endpoint with the variable of its key, models by name, or `micro` for a try without."""

    endpoint: str = ""
    teacher: str = ""
    solvers: tuple[str, ...] = ()
    micro: bool = False
    key_variable: str = DEFAULT_KEY

    @property
    def all_micro(self) -> bool:
        """Whether no endpoint is wanted."""
        names = [name for name in (self.teacher, *self.solvers) if name]
        return self.micro or (bool(names) and all(name.startswith(PREFIX) for name in names))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The teacher, "" where no stage needs one, the solvers, and what is said of how they were chosen.

    `endpoint` is the base URL that all of them are asked at which are not micro models.
    """

    teacher: str
    solvers: tuple[str, ...]
    endpoint: str = ""
    key_variable: str = DEFAULT_KEY
    remark: str = ""

    @property
    def micro(self) -> bool:
        """Whether all of them are the shipped ones."""
        return not self.endpoint


def check(named: Named) -> None:
    """Refuse what can be no endpoint, before any data is read.

    Raises:
        RunError: the address or the variable of its key has no such form, or contradicts the rest.
    """
    if named.micro and named.endpoint:
        raise RunError("--micro is a try without an endpoint; give --micro or --endpoint, and not both.")
    try:
        headers.named(named.key_variable)
    except ValueError as error:
        raise RunError(f"--api-key-env {error}.") from error
    if named.endpoint:
        _checked(named.endpoint, named.key_variable)


def choose(named: Named, teaches: bool) -> Chosen:
    """The models of a recipe; `teaches`: a stage needs a teacher. What is not named is asked for on a terminal.

    Raises:
        RunError: they are not named and nobody can be asked, or the endpoint does not serve them.
        EngineError: the endpoint does not answer.
    """
    endpoint = named.endpoint
    if not endpoint and not named.all_micro:
        if not ask.possible():
            raise RunError(
                "Which models shall write and answer? Give --endpoint URL with the names that it serves (--teacher "
                "NAME --solver NAME), or --micro for a try with the shipped micro models."
            )
        endpoint = ask.text("The URL of an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1 (empty: micro)")
    if not endpoint:
        return _micro(named, teaches)
    return _at(_checked(endpoint, named.key_variable), named, teaches)


def _micro(named: Named, teaches: bool) -> Chosen:
    solvers = named.solvers or (MICRO_SOLVER,)
    if foreign := [name for name in (named.teacher, *solvers) if name and not name.startswith(PREFIX)]:
        raise RunError(f"{visible(foreign[0])} is no micro model; name the --endpoint that serves it.")
    return Chosen((named.teacher or MICRO_TEACHER) if teaches else "", solvers)


def _checked(url: str, variable: str) -> str:
    try:
        endpoint_urls.check_hub_token(variable, url)
        return endpoint_urls.checked(url).rstrip("/")
    except ValueError as error:
        said = str(error)
        raise RunError(
            f"The endpoint's address {said if said.startswith('must') else f'is no good: {said}'}."
        ) from error


def _at(url: str, named: Named, teaches: bool) -> Chosen:
    """Models that an endpoint serves."""
    complete = bool(named.solvers) and bool(named.teacher or not teaches)
    try:
        served, remark = served_models.names(url, os.environ.get(named.key_variable, "")), ""
    except EngineError as error:
        if not complete:
            raise EngineError(f"{str(error).rstrip('.')}, or name its models with --teacher and --solver.") from error
        served, remark = [], f"{error} The names are taken as you gave them."
    if not served and not complete:
        raise RunError(f"The endpoint {url} serves no model; start one, or name it with --teacher and --solver.")
    teacher = _one("--teacher", "writes questions from captions", named.teacher, served, url) if teaches else ""
    solvers = named.solvers or (_one("--solver", "answers and is measured", "", served, url),)
    for solver in named.solvers:
        _one("--solver", "", solver, served, url)
    if len(served) == 1 and not complete:
        remark = f"{url} serves {visible(served[0])} alone, so that is every model here."
    return Chosen(teacher, solvers, url, named.key_variable, remark)


def _one(option: str, does: str, name: str, served: Sequence[str], url: str) -> str:
    """The model that is meant by `name`, or by the user who is asked."""
    if name.startswith(PREFIX) or (name and (name in served or not served)):
        return name
    there = ", ".join(map(visible, served[:_SHOWN])) + (f" and {len(served) - _SHOWN} more" if served[_SHOWN:] else "")
    if name:
        near = difflib.get_close_matches(name, served, n=1)
        meant = f" (did you mean {visible(near[0])}?)" if near else ""
        raise RunError(f"The endpoint {url} serves no {visible(name)}{meant}; it serves {there}.")
    if len(served) == 1:
        return served[0]
    if not ask.possible():
        raise RunError(f"The endpoint {url} serves {there}; name the one that {does} with {option} NAME.")
    return ask.one_of(f"Which model {does}?", served)
