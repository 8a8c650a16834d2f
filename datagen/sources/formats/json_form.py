"""What a file of JSON holds, detected by its beginning and not by its name: lines, one document, or values in a row."""

import json
from enum import Enum
from pathlib import Path

from capcurriculum.files import json_file
from datagen.sources.formats import encoding
from datagen.sources.formats.json_lines import MAX_LINE

_FIRST_LINES = 5


class Form(Enum):
    """A row a line; one array or object; or values one after the other, over several lines each, as jq writes them."""

    LINES = "lines"
    DOCUMENT = "document"
    VALUES = "values"


def of(path: Path, otherwise: Form) -> Form:
    """The form of a file of JSON; `otherwise` where its beginning does not tell.

    Raises:
        SourceError: it is UTF-16, UTF-32, or a Git LFS pointer.
        OSError: it cannot be read.
    """
    with encoding.opened(path) as handle:
        lines: list[str] = []
        while len(lines) < _FIRST_LINES and (raw := handle.readline(MAX_LINE)):
            # What is longer than any row does not parse, and the beginning of it says as much.
            if line := (raw if len(raw) < MAX_LINE else raw[:2]).strip():
                lines.append(line)
    if not lines or lines[0][0] not in "[{":
        return otherwise
    return _of_arrays(lines, otherwise) if lines[0][0] == "[" else _of_objects(path, lines, otherwise)


def _of_arrays(lines: list[str], otherwise: Form) -> Form:
    """The form of what begins with `[`: lines of arrays, whose first may be cut, or one array."""
    if _parsed(lines[0]) is not None:
        if len(lines) > 1 and (otherwise is Form.LINES or lines[1][0] in "[{"):
            return Form.LINES
        return Form.DOCUMENT
    # Behind a line inside of an array that is whole JSON by itself comes a comma, or the end of what it lies in.
    pairs = zip(lines[1:], lines[2:] + ["["] * (lines[0] != "["), strict=False)
    if any(_parsed(line) is not None and after[0] in "[{" for line, after in pairs):
        return Form.LINES
    return Form.DOCUMENT


def _of_objects(path: Path, lines: list[str], otherwise: Form) -> Form:
    """The form of what begins with `{`: lines of objects, whose first may be cut, one object, or several."""
    if _parsed(lines[0]) is not None:
        return Form.LINES if len(lines) > 1 else otherwise
    value, rest = _first_value(path)
    if "\n" in value:
        # No line alone: JSON has no line break inside a text, so a first line that is cut does not parse with the next.
        return Form.VALUES if rest or otherwise is Form.LINES else Form.DOCUMENT
    if any(isinstance(_parsed(line), dict) for line in lines[1:]):
        return Form.LINES
    return Form.VALUES if value and rest == "{" and otherwise is Form.DOCUMENT else otherwise


def _first_value(path: Path) -> tuple[str, str]:
    """The text of the first JSON value of a file and the first character behind it; "" where it is none, or long."""
    with encoding.opened(path) as handle:
        text = handle.read(MAX_LINE).lstrip()
    try:
        json_file.check_depth(text)
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError, json_file.TooDeep):
        return "", ""
    return text[:end], text[end:].lstrip()[:1]


def _parsed(line: str) -> dict[str, object] | list[object] | None:
    """The object or array that a line holds; None where it is none."""
    try:
        json_file.check_depth(line)
        value = json.loads(line)
    except (ValueError, RecursionError, json_file.TooDeep):
        return None
    return value if isinstance(value, dict | list) else None
