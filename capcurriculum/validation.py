"""What is wrong with data that pydantic refused, in words for who wrote it: the key's place, the fault, the mend.

Pydantic names branches of a union within a place (`filters.2.perception.action`) and says what its input should
be. Here a place is what stands in the file, and a fault says what to write.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from capcurriculum.did_you_mean import meant, nearest

#: Keys whose values may be secrets, and are not repeated.
_SECRET = frozenset({"headers", "api_key_env", "extra_body", "chat_template_kwargs"})
#: The most keys that are listed where none resembles the one that is not known.
_MOST_KEYS = 24
_LONGEST = 60
#: Beginning of a fault's type -> what the value must be.
_KINDS: Mapping[str, str] = {
    "string": "a text", "int": "a whole number", "float": "a number", "finite": "a finite number",
    "bool": "true or false", "tuple": "a list", "list": "a list", "model": "a mapping of keys",
    "dict": "a mapping of names", "mapping": "a mapping of names", "path": "a path",
}  # fmt: skip
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "above"), "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"), "less_than_equal": ("le", "at most"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Fault:
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


def faults(error: ValidationError, model: type[BaseModel], data: object) -> str:
    """What pydantic refused of `data` as a `model`: `key.inner: fault; ...`, without a full stop.

    Text of JSON may stand for the data that it holds.
    """
    data = _parsed(data) if isinstance(data, str | bytes) else data
    found = [_located(one, model, data) for one in error.errors(include_url=False)]
    fitting = {one.branch for one in found if one.branch is not None and one.fits}
    found = [one for one in found if one.fits or one.branch not in fitting]
    unknown = [one for one in found if one.error["type"] == "extra_forbidden"]
    misspelt = {_dotted((*one.place[:-1], name)) for one in unknown for name in (_near(one), *_below(one))}
    said: dict[tuple[str | int, ...], list[_Fault]] = {}
    for one in found:
        if one.error["type"] != "missing" or _dotted(one.place) not in misspelt:
            said.setdefault(one.branch if one.branch is not None and not one.fits else one.place, []).append(one)
    return "; ".join(_at(place, _sentence(those, model)) for place, those in said.items())


def reason(error: Exception) -> str:
    """Why a file that a program wrote cannot be read, on one line; of pydantic's reasons the first."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    fault = _Fault(tuple(first["loc"]), (), first["input"], first, None, True)
    return _at(fault.place, _sentence([fault], BaseModel))


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _at(place: Iterable[str | int], said: str) -> str:
    where = _dotted(place)
    return f"{where}{' ' if said.startswith('is ') else ': '}{said}" if where else said


def _dotted(place: Iterable[str | int]) -> str:
    """A place as it is looked for in the file: `filters[2].action`, where the first of a list is 0."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _located(error: ErrorDetails, model: type[BaseModel], data: object) -> _Fault:
    place: list[str | int] = []
    kinds: tuple[Any, ...] = (model,)
    inside: tuple[Any, ...] = ()
    branch: tuple[str | int, ...] | None = None
    value, fits, loc = data, True, error["loc"]
    for number, part in enumerate(loc):
        absent = error["type"] == "missing" and number == len(loc) - 1
        if absent or (isinstance(value, dict) and part in value) or (isinstance(value, list | tuple) and _index(part)):
            inside, kinds = kinds, tuple(inner for kind in kinds for inner in _inner(kind, part))
            value = None if absent else value[part]  # type: ignore[index]
            place.append(part)
        elif _index(part):  # one value that was taken for a list of it
            kinds = tuple(inner for kind in kinds for inner in _inner(kind, part))
        elif part != "[key]":
            tagged, kinds = _branch(kinds, str(part))
            if not tagged:
                branch, fits = tuple(place), _fits(kinds, str(part), value)
    unknown = error["type"] == "extra_forbidden"
    return _Fault(tuple(place), inside if unknown else kinds, value, error, branch, fits)


def _index(part: str | int) -> bool:
    return isinstance(part, int)


def _inner(kind: Any, part: str | int) -> tuple[Any, ...]:
    """The types of what is at `part` of a value of type `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _flat(field.annotation) if field else ()
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _flat(arguments[1])
    return _flat(arguments[0]) if get_origin(kind) in (tuple, list) else ()


def _flat(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type, without what it is annotated with."""
    if get_origin(annotation) is Annotated:
        return _flat(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for one in get_args(annotation) for inner in _flat(one))
    return (annotation,)


def _branch(kinds: tuple[Any, ...], label: str) -> tuple[bool, tuple[Any, ...]]:
    """Whether `label` is the tag of one of several sections, else the name of a branch; and the types that it names."""
    sections = [section for kind in kinds for section in _family(kind)]
    if tagged := [one for one in sections if any(label in get_args(f.annotation) for f in _tags(one))]:
        return True, tuple(tagged)
    # The label of a section with validators is `function-before[validator(), Section]`.
    return False, tuple(one for one in sections if re.search(rf"\b{one.__name__}\b", label))


def _family(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for heir in kind.__subclasses__():
            yield from _family(heir)


def _tags(section: type[BaseModel]) -> list[FieldInfo]:
    fields = (section.model_fields.get(name) for name in ("name", "kind"))
    return [field for field in fields if field and get_origin(field.annotation) is Literal]


def _fits(sections: tuple[Any, ...], label: str, value: object) -> bool:
    """Whether a value is of the kind of a branch: a mapping of a section's, a list of a list's, else of another's."""
    if isinstance(value, dict) or sections:
        return isinstance(value, dict) and bool(sections)
    return isinstance(value, list) == ("tuple[" in label)


def _sentence(those: list[_Fault], model: type[BaseModel]) -> str:
    if len(those) > 1:
        kinds = dict.fromkeys(_kind(one.error["type"]) for one in those)
        return f"must be {_alternatives([kind for kind in kinds if kind])}{_not(those[0])}"
    (fault,) = those
    error = fault.error
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return f"must be {word} {context[key]:g}{_not(fault)}{_share(fault.value, context[key])}"
    if said := _SAID.get(kind):
        return said(fault, model)
    if found := _kind(kind):
        return f"must be {found}{_form(fault)}{_not(fault)}"
    return re.sub(r"^Input should", "must", error["msg"])


def _kind(fault: str) -> str:
    return _KINDS.get(fault.partition("_")[0], "")


def _alternatives(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _not(fault: _Fault) -> str:
    """What stands there instead, unless it may be a secret."""
    value = fault.value
    if value is None:
        return ", and is empty"
    if isinstance(value, dict | list | tuple):
        return f", not {'a mapping' if isinstance(value, dict) else 'a list'}"
    if _SECRET.intersection(map(str, fault.place)):
        return ""
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    text = f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text
    quotes = fault.error["type"] == "string_type" and not isinstance(value, str)
    return f", not {text}{'; put it in quotes' * quotes}"


def _share(value: object, bound: float) -> str:
    """A hint for who wrote percents."""
    percents = bound == 1 and isinstance(value, int | float) and 1 < value <= 100
    return f"; it is a share, {value / 100:g} for {value:g} %" if percents else ""  # type: ignore[operator]


def _form(fault: _Fault) -> str:
    """How a section is written: its keys that must be there."""
    for kind in fault.kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return f" such as {_example(kind)}" if _needed(kind) else ""
        if get_origin(kind) is dict:
            inner = _sections_of(_flat(get_args(kind)[1]))
            return f" such as {{NAME: {_example(inner[0]) if inner else '…'}}}"
    return " in [ ]" if isinstance(fault.value, dict) else ""


def _needed(section: type[BaseModel]) -> list[str]:
    return [name for name, field in section.model_fields.items() if field.is_required()]


def _example(section: type[BaseModel]) -> str:
    return f"{{{', '.join(f'{name}: …' for name in _needed(section))}}}"


def _missing(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    name, value = fault.place[-1], "…"
    for kind in fault.kinds:
        if get_origin(kind) is Literal:
            return f"is missing; it is one of {', '.join(map(str, get_args(kind)))}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            value = _example(kind) if _needed(kind) else "{…}"
        elif get_origin(kind) is not None:
            value = "{…}" if get_origin(kind) is dict else "[…]"
    return f"is missing; add `{name}: {value}`"


def _sections(fault: _Fault) -> list[type[BaseModel]]:
    return _sections_of(fault.kinds)


def _sections_of(kinds: Iterable[Any]) -> list[type[BaseModel]]:
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _keys(sections: Iterable[type[BaseModel]]) -> list[str]:
    return [field.alias or name for section in sections for name, field in section.model_fields.items()]


def _near(fault: _Fault) -> str:
    """The key that was probably meant by one that is not known."""
    return nearest(str(fault.place[-1]), _keys(_sections(fault)))


def _unknown(fault: _Fault, model: type[BaseModel]) -> str:
    key, keys = str(fault.place[-1]), _keys(_sections(fault))
    if not nearest(key, keys, similar=0.8):
        if below := _below(fault):
            places = [_dotted((*fault.place[:-1], place)) for place in below]
            return f"there is no such key here; it belongs to {_alternatives(places)}"
        if len(fault.place) > 1 and key in model.model_fields:
            return f"there is no such key here; {key} stands at the beginning of a line"
    if said := meant(key, keys):
        return f"there is no such key{said}"
    listed = ", ".join(keys[:_MOST_KEYS]) + ", …" * (len(keys) > _MOST_KEYS)
    return f"there is no such key; those there are: {listed}" if keys else "there is no such key; leave it out"


def _below(fault: _Fault) -> list[str]:
    """Places one level below a key that is not known where there is one of its name."""
    key, sections = str(fault.place[-1]), _sections(fault)
    return [f"{name}.{key}" for one in sections for name, field in one.model_fields.items() if _has(field, key)]


def _has(field: FieldInfo, key: str) -> bool:
    return any(key in _keys([kind]) for kind in _flat(field.annotation) if list(_family(kind)))


def _choice(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    known = re.findall(r"'([^']*)'", str(fault.error.get("ctx", {}).get("expected", "")))
    choices = _alternatives(known) if len(known) < 3 else f"one of {', '.join(known)}"
    said = f"must be {choices}{_not(fault)}"
    return said + meant(fault.value, known) if isinstance(fault.value, str) and len(known) > 2 else said


def _tag(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    context = fault.error.get("ctx", {})
    known = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
    key, tag = str(context["discriminator"]).strip("'"), str(context["tag"])[:_LONGEST]
    return f"must have one of {', '.join(known)} as its {key}, not {tag!r}{meant(tag, known)}"


def _no_tag(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    key = str(fault.error.get("ctx", {}).get("discriminator", "")).strip("'")
    kinds = [str(one) for s in _sections(fault) for f in _tags(s) for one in get_args(f.annotation)]
    return f"{key} is missing; it is one of {', '.join(kinds)}" if kinds else f"{key} is missing; add `{key}: …`"


def _empty(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    least = fault.error.get("ctx", {}).get("min_length", 1)
    return f"is empty, and must hold at least {'one value' if least == 1 else f'{least} values'}"


def _long(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    return f"must have at most {fault.error.get('ctx', {}).get('max_length')} characters"


def _no_json(fault: _Fault, model: type[BaseModel]) -> str:
    del model
    return f"is no JSON ({fault.error.get('ctx', {}).get('error')})"


#: Type of a fault -> its sentence.
_SAID: Mapping[str, Callable[[_Fault, type[BaseModel]], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _no_tag,
    "too_short": _empty,
    "string_too_long": _long,
    "json_invalid": _no_json,
}
