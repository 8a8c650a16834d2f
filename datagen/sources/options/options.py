"""The options of a row in the layouts that data sets use, with the labels they bring along."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase

from capcurriculum.reasons import Reason
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import parsed

#: A label before an option's text: `A. red`, `(b) red`, `(1) red`, `2) red`; a digit with a full stop needs a space
#: behind it, since `1.5 m` has none.
_LABEL = re.compile(
    r"^\s*(?:[(（\[]([A-Za-z]|\d{1,2})[)）\]][.:]?|([A-Za-z])\s?[.:)、．：）]|(\d{1,2})(?:[)、．）]|[.:](?=\s)))\s*(?=\S)"
)
_IN_LINE = re.compile(
    r"(?:^|[;,；，\n]|\s{2,}|\s(?=[(（\[])|\s(?=[A-Za-z]\s?\)))\s*[(（\[]?([A-Za-z]|\d{1,2})\s?(?:[)）\]][.:]?|[.:．：、](?!\d))\s*"
)
_TEXT_KEYS, _LABEL_KEYS = ("text", "value", "content", "option"), ("label", "key", "id", "letter")
_MOST = len(ascii_uppercase)
#: Characters of options in one text, and blanks that stand for two.
_LONGEST, _BLANKS = 20_000, re.compile(r"[^\S\n]{2,}")
#: Texts that say that a row has no options.
_NONE = frozenset(["nan", "none", "null"])
#: A list as numpy prints it, which Python would read as one text.
_UNPARTED = re.compile(r"^\s*\[\s*(['\"])[^\n]*\1\s+\1[^\n]*\1\s*\]\s*$")


@dataclass(frozen=True, slots=True)
class Options:
    """Texts in the order of their source, the label that each has there, if they have any, and the texts as written."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def exactly(self, key: str) -> int | None:
        """The place of the one option that is written like this, or reads like this; capitals count if they must."""
        for fold in (str, str.casefold):
            said = fold(" ".join(key.split()))
            found = {
                place
                for texts in (self.written, self.texts)
                for place, text in enumerate(texts)
                if fold(" ".join(text.split())) == said
            }
            if len(found) == 1:
                return found.pop()
        return None

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
        if len(value) <= _LONGEST // 10 and _UNPARTED.search(value):
            detail = f"row {row} has options without commas between them in {column!r}, as numpy prints them"
            raise LineProblem(Reason.MALFORMED_LINE, f"{detail}; write them as JSON")
        value = parsed(value)
    if isinstance(value, float) and value != value:
        return Options()
    match value:
        case None | "" | [] | ():
            return Options()
        case str() if value.casefold() in _NONE:
            return Options()
        case Mapping():
            return _mapping(value, row, column)
        case list() | tuple() if all(isinstance(one, Mapping) for one in value):
            pairs = [(_first(one, _LABEL_KEYS), _first(one, _TEXT_KEYS)) for one in value]
            labels = [str(label) for label, _ in pairs if label is not None]
            return _made([text for _, text in pairs], labels if len(labels) == len(pairs) else [], row, column)
        case list() | tuple():
            return _made(list(value), [], row, column)
        case str():
            return _in_line(value, row, column)
    raise _unread(row, column)


def _first(one: Mapping[object, object], names: Sequence[str]) -> object:
    return next((one[name] for name in names if name in one), None)


def _mapping(value: Mapping[object, object], row: int, column: str) -> Options:
    texts, labels = _first(value, (*_TEXT_KEYS, "texts")), _first(value, (*_LABEL_KEYS, "labels"))
    if isinstance(texts, list | tuple) and isinstance(labels, list | tuple) and len(texts) == len(labels):
        return _made(list(texts), [str(label) for label in labels], row, column)
    # A struct of a table has every label that any row has.
    nulls = [text is None for text in value.values()]
    behind = nulls == sorted(nulls) and not all(nulls)  # behind the last text alone
    there = {label: text for label, text in value.items() if text is not None} if behind else value
    return _made(list(there.values()), [str(label) for label in there], row, column)


def _made(texts: Sequence[object], labels: Sequence[str], row: int, column: str) -> Options:
    """Options of texts and numbers; labels that stand inside the texts are taken out of them.

    Where a table has more columns than a row has options, the last ones are null.
    """
    while texts and texts[-1] is None:
        texts, labels = texts[:-1], labels[: len(texts) - 1]
    if len(texts) > _MOST:
        detail = f"row {row} has {len(texts)} options in {column!r}, more than there are letters"
        raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
    texts = [str(text) if isinstance(text, bool) else text for text in texts]
    if any(not isinstance(text, str | int | float) for text in texts):
        raise _unread(row, column)
    whole = [int(text) if isinstance(text, float) and text.is_integer() else text for text in texts]
    plain = [str(text).strip() for text in whole]
    written = tuple(plain)
    named = tuple(label.strip().strip("()[].:").upper() for label in labels)
    named = named if any(named) else ()
    if len(set(filter(None, named))) < len(named):
        detail = f"row {row} has options with the same label, or without one, in {column!r}"
        raise LineProblem(Reason.MALFORMED_LINE, detail)
    found = [_LABEL.match(text) for text in plain]
    inside = tuple(next(filter(None, label.groups())).upper() for label in found if label)
    if len(inside) == len(plain) and _is_run(inside) and (not named or named == inside):
        plain = [text[label.end() :].strip() for text, label in zip(plain, found, strict=True) if label]
        named = inside
    return Options(tuple(plain), named, written)


def of_columns(values: Sequence[object], names: Sequence[str], row: int) -> Options:
    """The options of a row whose texts stand in columns of their own; empty ones at the end are none.

    Raises:
        LineProblem: one holds something else than a text or number.
    """
    nan = [isinstance(value, float) and value != value for value in values]
    texts = [None if none or value in (None, "") else value for value, none in zip(values, nan, strict=True)]
    labels = names if all(name in ascii_uppercase for name in names) else ()
    return _made(texts, labels, row, ", ".join(names))


def label_inside(text: str) -> str:
    """The letter that an option's text begins with as a label (`B. lung`), "" for none."""
    found = _LABEL.match(text)
    label = next(filter(None, found.groups())).upper() if found else ""
    return label if label in ascii_uppercase else ""


def _rank(label: str) -> int:
    return int(label) if label.isdigit() else ord(label)


def _is_run(labels: Sequence[str]) -> bool:
    """Whether labels are letters, or numbers, that follow each other, in whatever order.

    They begin with the first or second of their kind: others are initials of people.
    """
    alike = all(map(str.isdigit, labels)) or all(one in ascii_uppercase for one in labels)
    if len(labels) < 2 or not alike or not all(labels):
        return False
    ranks = sorted(map(_rank, labels))
    begins = ranks[0] in (_rank("A"), _rank("B"), 0, 1)
    return begins and all(after - before == 1 for before, after in pairwise(ranks))


def _in_line(text: str, row: int, column: str) -> Options:
    """`A. red; B. blue` in one text, or `a ) 3 , b ) 4`, or `1. red; 2. blue`."""
    if len(text) > _LONGEST:
        raise _unread(row, column)
    text = _BLANKS.sub("  ", text)
    marks = list(_IN_LINE.finditer(text))
    labels = [mark[1].upper() for mark in marks]
    letters, numbers = list(ascii_uppercase[: len(labels)]), [str(place) for place in range(1, len(labels) + 1)]
    if labels not in (letters, numbers) or len(labels) < 2 or marks[0].start() > 0:
        raise _unread(row, column)
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    parts = [text[mark.end() : end].strip(" \t\n;,；，") for mark, end in zip(marks, ends, strict=True)]
    return Options(tuple(parts), tuple(labels), tuple(parts))


def _unread(row: int, column: str) -> LineProblem:
    return LineProblem(
        Reason.MALFORMED_LINE,
        f"row {row} has no options in {column!r}: a list of texts, a mapping from letter to text, or `A. ...; B. ...`",
    )
