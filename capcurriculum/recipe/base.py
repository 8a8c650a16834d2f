"""What every section of a recipe is made from."""

import re
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of a recipe: immutable, and an unknown key is an error.

    Where a list is expected, one text is taken for a list of it: `solvers: small` is `solvers: [small]`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: [one] if isinstance(one, str) and key in _lists(cls) else one for key, one in data.items()}


@cache
def _lists(section: type[Section]) -> frozenset[str]:
    """The keys of a section that take a list and no text."""
    fields = section.model_fields.items()
    kinds = {name: {get_origin(one) or one for one in _alternatives(field.annotation)} for name, field in fields}
    return frozenset(name for name, found in kinds.items() if tuple in found and str not in found)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for one in get_args(annotation) for inner in _alternatives(one))
    return (annotation,)


def named(most: int, signs: str = "._-", *, empty: bool = False) -> AfterValidator:
    """A name that is a folder or a part of an address: at most so many letters, digits and `signs`."""
    words = " ".join(signs[:-1]) + " and " + signs[-1]
    return matching(
        rf"{'|' * empty}[A-Za-z0-9][A-Za-z0-9{re.escape(signs)}]{{0,{most - 1}}}",
        f"at most {most} letters, digits, {words}, a letter or digit first",
    )


def matching(pattern: str, said: str) -> AfterValidator:
    """A text that is the pattern as a whole; any other is told that it must be `said`."""
    compiled = re.compile(pattern)

    def checked(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {said}, not {text[:60]!r}")
        return text

    return AfterValidator(checked)
