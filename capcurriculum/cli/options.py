"""Types of arguments and options that several verbs share, with their help and the check of their values."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

from cyclopts import Parameter, Token


def opt(text: str, **more: Any) -> Parameter:
    """What `--help` says of an argument or option, and whatever else of it is not told by its name and type."""
    return Parameter(help=text, **more)


def _number(kind: Callable[[str], float], fits: Callable[[float], bool], said: str) -> Parameter:
    """How a number that `fits` is read; others are not `said`. Cyclopts itself takes 2.5 for the whole number 2."""

    def converted(hint: Any, tokens: Sequence[Token]) -> float:
        with suppress(ValueError):
            if fits(value := kind(tokens[0].value)):
                return value
        raise ValueError(f"{tokens[0].value!r} is not {said}")

    return Parameter(converter=converted)


Real = Annotated[float, _number(float, lambda value: True, "a number")]
Whole = Annotated[int, _number(int, lambda value: True, "a whole number")]
Positive = Annotated[int, _number(int, lambda value: value > 0, "a whole number from 1 on")]
Fraction = Annotated[float, _number(float, lambda value: 0 < value <= 1, "a number above 0 and up to 1")]
RecipeName = Annotated[str, opt("A recipe file, for example curricula/recipes/demo.yaml, or a run's name or folder")]
RunName = Annotated[str, opt("A run's folder, its name below runs/, or a recipe file")]
Allow = Annotated[bool, opt("Run and send what the recipe names (see `capcurriculum allow`) without asking")]
Names = tuple[str, ...]
Stages = Annotated[Names, opt("Only this stage (may be repeated)")]
