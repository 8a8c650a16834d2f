"""Free JSON inside a recipe, for keys whose names and values are somebody else's: checked, copied, bounded."""

import math
from collections.abc import Iterator
from typing import Any

MOST_DEPTH = 8
#: YAML's aliases make a small file stand for a huge value.
MOST_VALUES = 1000
_LARGEST = 2**63


def checked(value: object) -> dict[str, Any]:
    """A copy of a mapping that any JSON encoder writes and any reader takes.

    Raises:
        ValueError: it is no mapping, is nested too deeply or too large, or holds what JSON has not (infinity, a date, a
            key that is no text). Values are not repeated, as nobody knows what they are.
    """
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of names to JSON values, for example {enable_thinking: false}")
    copied: dict[str, Any] = _copied(value, 0, iter(range(MOST_VALUES + 1)))
    return copied


def _copied(value: object, depth: int, budget: Iterator[int]) -> Any:
    if depth > MOST_DEPTH:
        raise ValueError(f"is nested more than {MOST_DEPTH} deep")
    if next(budget, None) is None:
        raise ValueError(f"holds more than {MOST_VALUES} values")
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) < _LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
        case int() | float():
            raise ValueError("holds a number that JSON cannot carry; it must be finite and have at most 64 bits")
        case list():
            return [_copied(inner, depth + 1, budget) for inner in value]
        case dict():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("has a key that is no text; put it in quotes")
            return {name: _copied(inner, depth + 1, budget) for name, inner in value.items()}
    raise ValueError(f"holds a {type(value).__name__}, which JSON has not; put it in quotes")
