"""Types of arguments and options that several verbs share, with their help and the check of their values."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token


def opt(text: str, **more: Any) -> Parameter:
    """What `--help` says of an argument or option, and whatever else of it is not told by its name and type."""
    return Parameter(help=text, **more)


def _whole(hint: Any, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


def _positive(hint: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    if not text.isdecimal() or not int(text):
        raise ValueError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _fraction(hint: Any, tokens: Sequence[Token]) -> float:
    try:
        value = float(tokens[0].value)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise ValueError(f"{tokens[0].value!r} is not a number above 0 and up to 1")
    return value


#: Cyclopts itself would take 2.5 for 2.
Whole = Annotated[int, Parameter(converter=_whole)]
Positive = Annotated[int, Parameter(converter=_positive)]
Fraction = Annotated[float, Parameter(converter=_fraction)]
RecipeName = Annotated[str, opt("A recipe file, for example curricula/recipes/demo.yaml, or a run's name or folder")]
RunName = Annotated[str, opt("A run's folder, its name below runs/, or a recipe file")]
Allow = Annotated[bool, opt("Run and send what the recipe names (see `capcurriculum allow`) without asking")]
Stages = Annotated[tuple[str, ...], opt("Only this stage (may be repeated)")]
