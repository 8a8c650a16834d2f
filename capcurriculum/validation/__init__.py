"""What is wrong with data that pydantic refused, in words for who wrote it: the key's place, the fault, the mend."""

import json
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from capcurriculum.validation.places import Fault, dotted, located
from capcurriculum.validation.sentences import below, near, sentence


def faults(error: ValidationError, model: type[BaseModel], data: object) -> str:
    """What pydantic refused of `data` as a `model`: `key.inner: fault; ...`, without a full stop.

    Text of JSON may stand for the data that it holds.
    """
    data = _parsed(data) if isinstance(data, str | bytes) else data
    found = [located(one, model, data) for one in error.errors(include_url=False)]
    fitting = {one.branch for one in found if one.branch is not None and one.fits}
    found = [one for one in found if one.fits or one.branch not in fitting]
    deep = {one.place[:-1] for one in found}
    # A list whose entries are wrong counts as an empty one, too.
    found = [one for one in found if one.error["type"] != "too_short" or one.place not in deep]
    unknown = [one for one in found if one.error["type"] == "extra_forbidden"]
    misspelt = {dotted((*one.place[:-1], name)) for one in unknown for name in (near(one), *below(one))}
    said: dict[tuple[str | int, ...], list[Fault]] = {}
    for one in found:
        if one.error["type"] != "missing" or dotted(one.place) not in misspelt:
            said.setdefault(one.branch if one.branch is not None and not one.fits else one.place, []).append(one)
    return "; ".join(_at(place, sentence(those, model)) for place, those in said.items())


def reason(error: Exception) -> str:
    """Why a file that a program wrote cannot be read, on one line; of pydantic's reasons the first."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    fault = Fault(tuple(first["loc"]), (), first["input"], first, None, True)
    return _at(fault.place, sentence([fault], BaseModel))


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _at(place: Iterable[str | int], said: str) -> str:
    where = dotted(place)
    return f"{where}{' ' if said.startswith('is ') else ': '}{said}" if where else said
