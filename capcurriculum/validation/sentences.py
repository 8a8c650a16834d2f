"""What is wrong at a place, and what to write there."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from capcurriculum.did_you_mean import meant, nearest
from capcurriculum.validation.places import Fault, alternatives, dotted, family, tags

#: Keys whose values may be secrets, and are not repeated.
_SECRET = frozenset({"headers", "api_key_env", "extra_body", "chat_template_kwargs"})
#: The most keys that are listed where none resembles the one that is not known.
_MOST_KEYS = 24
_LONGEST = 60
#: Beginning of a fault's type -> what the value must be.
_KINDS: Mapping[str, str] = {
    "string": "a text", "int": "a whole number", "float": "a number", "finite": "a finite number",
    "bool": "true or false", "tuple": "a list", "list": "a list", "model": "a mapping of keys",
    "dataclass": "a mapping of keys", "dict": "a mapping of names", "mapping": "a mapping of names", "path": "a path",
}  # fmt: skip
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "above"), "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"), "less_than_equal": ("le", "at most"),
}  # fmt: skip


def sentence(those: list[Fault], model: type[BaseModel]) -> str:
    """What is wrong at one place of a `model`; several faults are of the types that it could be of."""
    those = [one for one in those if not _kind(one.error["type"])][:1] or those  # the branch that it is of
    if len(those) > 1:
        kinds = dict.fromkeys(_kind(one.error["type"]) for one in those)
        return f"must be {_either([kind for kind in kinds if kind])}{_not(those[0])}"
    (fault,) = those
    error = fault.error
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return f"must be {word} {context[key]:g}{_not(fault)}{_share(fault.value, context[key])}"
    if kind == "extra_forbidden":
        return _unknown(fault, model)
    if said := _SAID.get(kind):
        return said(fault)
    if found := _kind(kind):
        return f"must be {found}{_form(fault)}{_not(fault)}"
    return re.sub(r"^\w+ should", "must", error["msg"])


def _kind(fault: str) -> str:
    begin, _, end = fault.partition("_")
    return _KINDS.get(begin, "") if end.endswith(("type", "parsing", "from_float", "number")) else ""


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _not(fault: Fault) -> str:
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


def _form(fault: Fault) -> str:
    """How a section is written: its keys that must be there."""
    for kind in fault.kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return f" such as {_example(kind)}" if _needed(kind) else ""
        if get_origin(kind) is dict:
            inner = _sections_of(alternatives(get_args(kind)[1]))
            return f" such as {{NAME: {_example(inner[0]) if inner else '…'}}}"
    return " in [ ]" if isinstance(fault.value, dict) else ""


def _needed(section: type[BaseModel]) -> list[str]:
    return [name for name, field in section.model_fields.items() if field.is_required()]


def _example(section: type[BaseModel]) -> str:
    return f"{{{', '.join(f'{name}: …' for name in _needed(section))}}}"


def _missing(fault: Fault) -> str:
    name, value = fault.place[-1], "…"
    for kind in fault.kinds:
        if get_origin(kind) is Literal:
            return f"is missing; it is one of {', '.join(map(str, get_args(kind)))}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            value = _example(kind) if _needed(kind) else "{…}"
        elif get_origin(kind) is not None:
            value = "{…}" if get_origin(kind) is dict else "[…]"
    return f"is missing; add `{name}: {value}`"


def _sections(fault: Fault) -> list[type[BaseModel]]:
    return _sections_of(fault.kinds)


def _sections_of(kinds: Iterable[Any]) -> list[type[BaseModel]]:
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _keys(sections: Iterable[type[BaseModel]]) -> list[str]:
    return [field.alias or name for section in sections for name, field in section.model_fields.items()]


def near(fault: Fault) -> str:
    """The key that was probably meant by one that is not known."""
    return nearest(str(fault.place[-1]), _keys(_sections(fault)))


def _unknown(fault: Fault, model: type[BaseModel]) -> str:
    key, keys = str(fault.place[-1]), _keys(_sections(fault))
    if not nearest(key, keys, similar=0.8):
        if found := below(fault):
            places = [dotted((*fault.place[:-1], place)) for place in found]
            return f"there is no such key here; it belongs to {_either(places)}"
        if len(fault.place) > 1 and key in model.model_fields:
            return f"there is no such key here; {key} stands at the beginning of a line"
    if said := meant(key, keys):
        return f"there is no such key{said}"
    listed = ", ".join(keys[:_MOST_KEYS]) + ", …" * (len(keys) > _MOST_KEYS)
    return f"there is no such key; those there are: {listed}" if keys else "there is no such key; leave it out"


def below(fault: Fault) -> list[str]:
    """Places one level below a key that is not known where there is one of its name."""
    key, sections = str(fault.place[-1]), _sections(fault)
    return [f"{name}.{key}" for one in sections for name, field in one.model_fields.items() if _has(field, key)]


def _has(field: FieldInfo, key: str) -> bool:
    return any(key in _keys([kind]) for kind in alternatives(field.annotation) if list(family(kind)))


def _choice(fault: Fault) -> str:
    expected = str(fault.error.get("ctx", {}).get("expected", ""))
    known = re.findall(r"'([^']*)'", expected) or re.split(r", | or ", expected)
    choices = _either(known) if len(known) < 3 else f"one of {', '.join(known)}"
    said = f"must be {choices}{_not(fault)}"
    return said + meant(fault.value, known) if isinstance(fault.value, str) and len(known) > 2 else said


def _tag(fault: Fault) -> str:
    context = fault.error.get("ctx", {})
    known = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
    key, tag = str(context["discriminator"]).strip("'"), str(context["tag"])[:_LONGEST]
    return f"must have one of {', '.join(known)} as its {key}, not {tag!r}{meant(tag, known)}"


def _no_tag(fault: Fault) -> str:
    key = str(fault.error.get("ctx", {}).get("discriminator", "")).strip("'")
    kinds = [tag for section in _sections(fault) for tag in tags(section)]
    return f"{key} is missing; it is one of {', '.join(kinds)}" if kinds else f"{key} is missing; add `{key}: …`"


def _empty(fault: Fault) -> str:
    least = fault.error.get("ctx", {}).get("min_length", 1)
    return f"is empty, and must hold at least {'one value' if least == 1 else f'{least} values'}"


def _long(fault: Fault) -> str:
    return f"must have at most {fault.error.get('ctx', {}).get('max_length')} characters"


def _no_json(fault: Fault) -> str:
    return f"is no JSON ({fault.error.get('ctx', {}).get('error')})"


#: Type of a fault -> its sentence.
_SAID: Mapping[str, Callable[[Fault], str]] = {
    "missing": _missing,
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _no_tag,
    "too_short": _empty,
    "string_too_long": _long,
    "json_invalid": _no_json,
    "invalid_key": lambda fault: "is no text; put it in quotes",
}
