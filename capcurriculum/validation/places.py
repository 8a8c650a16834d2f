"""Where a fault that pydantic found is in the data, and of which sections and types that place is.

Pydantic names branches of a union within a place (`filters.2.perception.action`). Here a place is what stands in the
file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails


def dotted(place: Iterable[str | int]) -> str:
    """A place as it is looked for in the file: `filters[2].action`, where the first of a list is 0."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its `place` in the file, the section it is in, what stands there, and what pydantic says of it.

    `branch` is the place of the union that it is a branch of, if any, and `fits` whether that branch is of the kind
    that stands there.
    """

    place: tuple[str | int, ...]
    kinds: tuple[Any, ...]
    value: object
    error: ErrorDetails
    branch: tuple[str | int, ...] | None
    fits: bool


def located(error: ErrorDetails, model: type[BaseModel], data: object) -> Fault:
    """A fault of `data` as a `model`, with its place in the data."""
    place: list[str | int] = []
    kinds: tuple[Any, ...] = (model,)
    inside: tuple[Any, ...] = ()
    branch: tuple[str | int, ...] | None = None
    value, fits, loc = data, True, error["loc"]
    for number, part in enumerate(loc):
        absent = error["type"] == "missing" and number == len(loc) - 1
        if absent or (isinstance(value, dict) and part in value) or (isinstance(value, list | tuple) and _index(part)):
            inside, kinds = kinds, tuple(inner for kind in kinds for inner in _inner(kind, part))
            place.append(_key(value, part))
            value = None if absent else value[part]  # type: ignore[index]
        elif _index(part):  # one value that was taken for a list of it
            kinds = tuple(inner for kind in kinds for inner in _inner(kind, part))
        elif part == "[key]":  # the fault is of the key, and not of what stands behind it
            value, kinds = loc[number - 1], ()
        else:
            tagged, kinds = _branch(kinds, str(part))
            if not tagged:
                branch, fits = tuple(place), _fits(kinds, str(part), value)
    unknown = error["type"] == "extra_forbidden"
    return Fault(tuple(place), inside if unknown else kinds, value, error, branch, fits)


def _key(value: object, part: str | int) -> str | int:
    """A part of a place: a number is the index of a list alone, and else a key that looks like one, or `no`."""
    found = next((key for key in value if key == part), part) if isinstance(value, dict) else part
    return part if isinstance(value, list | tuple) else str(found)


def _index(part: str | int) -> bool:
    return isinstance(part, int)


def _inner(kind: Any, part: str | int) -> tuple[Any, ...]:
    """The types of what is at `part` of a value of type `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return alternatives(field.annotation) if field else ()
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return alternatives(arguments[1])
    return alternatives(arguments[0]) if get_origin(kind) in (tuple, list) else ()


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type, without what it is annotated with."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for one in get_args(annotation) for inner in alternatives(one))
    return (annotation,)


def _branch(kinds: tuple[Any, ...], label: str) -> tuple[bool, tuple[Any, ...]]:
    """Whether `label` is the tag of one of several sections, else the name of a branch; and the types that it names."""
    sections = [section for kind in kinds for section in family(kind)]
    if tagged := [one for one in sections if label in tags(one)]:
        return True, tuple(tagged)
    # The label of a section with validators is `function-before[validator(), Section]`.
    return False, tuple(one for one in sections if re.search(rf"\b{one.__name__}\b", label))


def family(kind: Any) -> Iterator[type[BaseModel]]:
    """A section, and those that are made from it; none of another type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for heir in kind.__subclasses__():
            yield from family(heir)


def tags(section: type[BaseModel]) -> list[str]:
    """The values of `name` or `kind` that tell a section from its like; of a free text its default."""
    fields = [section.model_fields[name] for name in ("name", "kind") if name in section.model_fields]
    listed = (get_args(field.annotation) for field in fields if get_origin(field.annotation) is Literal)
    usual = (field.default for field in fields if isinstance(field.default, str) and field.default)
    return [str(one) for values in listed for one in values] or list(usual)


def _fits(sections: tuple[Any, ...], label: str, value: object) -> bool:
    """Whether a value is of the kind of a branch: a mapping of a section's, a list of a list's, else of another's."""
    if isinstance(value, dict) or sections:
        return isinstance(value, dict) and bool(sections)
    return isinstance(value, list) == ("tuple[" in label)
