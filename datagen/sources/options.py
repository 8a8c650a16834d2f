"""The options of a row in the layouts that data sets use, with the labels they bring along."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase

from capcurriculum.reasons import Reason
from datagen.sources.lines import LineProblem

#: A label before an option's text: `A. red`, `(b) red`, `(1) red`, `2) red`; a digit with a full stop needs a space
#: behind it, since `1.5 m` has none.
_LABEL = re.compile(
    r"^\s*(?:[(\[]([A-Za-z]|\d{1,2})[)\]][.:]?|([A-Za-z])\s?[.:)、]|(\d{1,2})(?:[)、]|[.:](?=\s)))\s*(?=\S)"
)
_IN_LINE = re.compile(r"(?:^|[;,\n]|\s{2,}|\s(?=[(\[]))\s*[(\[]?([A-Z])(?:[)\]][.:]?|[.:、])\s*")
_TEXT_KEYS, _LABEL_KEYS = ("text", "value", "content", "option"), ("label", "key", "id", "letter")
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Options:
    """Texts in the order they are shown, and the label each had in its source, "" where it had none."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def labelled(self, key: str) -> int | None:
        """The place of the option with this label; None where none has it, or none has labels."""
        wanted = key.strip().strip("()[].:").upper()
        return self.labels.index(wanted) if wanted and wanted in self.labels else None


def read(value: object, row: int, column: str) -> Options:
    """The options that a column holds; none for null, an empty text or an empty list.

    Read are lists of texts or numbers, mappings from label to text, lists of `{"label": ..., "text": ...}`, mappings of
    two such lists, the same as a JSON or Python text, and one text `A. ...; B. ...`.

    Raises:
        LineProblem: it holds something else.
    """
    if isinstance(value, str):
        value = _parsed(value)
    match value:
        case None | "" | [] | ():
            return Options()
        case Mapping():
            return _mapping(value, row, column)
        case list() | tuple() if all(isinstance(one, Mapping) for one in value):
            pairs = [(_first(one, _LABEL_KEYS), _first(one, _TEXT_KEYS)) for one in value]
            return _made([text for _, text in pairs], [str(label or "") for label, _ in pairs], row, column)
        case list() | tuple():
            return _made(list(value), [], row, column)
        case str():
            return _in_line(value, row, column)
    raise _unread(row, column)


def _parsed(text: str) -> object:
    """A text that holds a list or mapping, as JSON or as Python prints it; else the text."""
    stripped = text.strip()
    if stripped[:1] not in ("[", "{") or len(stripped) > _LONGEST:
        return stripped
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return stripped


def _first(one: Mapping[object, object], names: Sequence[str]) -> object:
    return next((one[name] for name in names if name in one), None)


def _mapping(value: Mapping[object, object], row: int, column: str) -> Options:
    texts, labels = _first(value, (*_TEXT_KEYS, "texts")), _first(value, (*_LABEL_KEYS, "labels"))
    if isinstance(texts, list | tuple) and isinstance(labels, list | tuple) and len(texts) == len(labels):
        return _made(list(texts), [str(label) for label in labels], row, column)
    return _made(list(value.values()), [str(label) for label in value], row, column)


def _made(texts: Sequence[object], labels: Sequence[str], row: int, column: str) -> Options:
    """Options of texts and numbers; labels that stand inside the texts are taken out of them."""
    if any(isinstance(text, bool) or not isinstance(text, str | int | float) for text in texts):
        raise _unread(row, column)
    plain = [_number(text) if isinstance(text, int | float) else str(text).strip() for text in texts]
    named = tuple(label.strip().strip("()[].:").upper() for label in labels)
    found = [_LABEL.match(text) for text in plain]
    inside = tuple(next(filter(None, label.groups())).upper() for label in found if label)
    if len(inside) == len(plain) and _consecutive(inside) and (not named or named == inside):
        plain = [text[label.end() :].strip() for text, label in zip(plain, found, strict=True) if label]
        named = inside
    if not _consecutive(named):
        return Options(tuple(plain))
    order = sorted(range(len(plain)), key=lambda place: _rank(named[place]))
    return Options(tuple(plain[place] for place in order), tuple(named[place] for place in order))


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _rank(label: str) -> int:
    return int(label) if label.isdigit() else ord(label)


def _consecutive(labels: Sequence[str]) -> bool:
    """Whether labels are letters, or numbers, that follow each other, in whatever order."""
    if len(labels) < 2 or not (all(map(str.isdigit, labels)) or all(one in ascii_uppercase for one in labels)):
        return False
    if not all(labels):
        return False
    ranks = sorted(map(_rank, labels))
    return all(after - before == 1 for before, after in pairwise(ranks))


def _in_line(text: str, row: int, column: str) -> Options:
    """`A. red; B. blue` in one text."""
    marks = list(_IN_LINE.finditer(text))
    labels = [mark[1] for mark in marks]
    if labels != list(ascii_uppercase[: len(labels)]) or len(labels) < 2 or marks[0].start() > 0:
        raise _unread(row, column)
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    parts = [text[mark.end() : end].strip(" \t\n;,") for mark, end in zip(marks, ends, strict=True)]
    return Options(tuple(parts), tuple(labels))


def _unread(row: int, column: str) -> LineProblem:
    return LineProblem(
        Reason.MALFORMED_LINE,
        f"row {row} has no options in {column!r}: a list of texts, a mapping from letter to text, or `A. ...; B. ...`",
    )
