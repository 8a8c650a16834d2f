"""The one JSON object in a model's reply: after its thoughts, in a fence or bare, with or without words around it.

Read once for all that models are asked for as JSON. What is in the reply decides, never a guess: an object that lacks a
field, two objects that differ, or one that names a field twice with different values is refused.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from capcurriculum.errors import ParseError
from capcurriculum.grading import extract

_Model = TypeVar("_Model", bound=BaseModel)
#: An object is looked for at so many opening braces, in so many characters: a reply of braces alone must stay cheap.
_TRIES, _LONGEST = 64, 200_000
_SHOWN = 60


def read(text: str, model: type[_Model]) -> _Model:
    """The object of a reply as `model`; whether further fields are allowed is the model's own word.

    Raises:
        ParseError: there is no such object, or several that differ; one short clause that can go back to the writer.
    """
    found = _objects(extract.after_thinking(text)[:_LONGEST])
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    whole = [one for one in found if needed <= one.keys()]
    if any(one != whole[0] for one in whole):
        raise ParseError("it holds several different JSON objects; write one")
    if not found:
        said = " ".join(text.split())[:_SHOWN]
        begins = f"; it begins {said!r}" if said else " and nothing else"
        raise ParseError(f"it is not the JSON object asked for (there is no JSON object in it{begins})")
    try:
        return model.model_validate((whole or found)[0])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ParseError(f"it is not the JSON object asked for ({where or 'reply'}: {first['msg']})") from error


def _objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects of a text, in order."""
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    found: list[dict[str, Any]] = []
    at = text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(value)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that gives no field two values."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made and made[name] != value:
            raise ValueError(f"{name} is given twice")
        made[name] = value
    return made
