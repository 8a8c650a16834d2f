"""YAML that somebody else may have written: its size is bounded while it is read, before anything costs much.

What PyYAML's safe loader lets through is bounded here: the bytes of a file, how deep it nests, what its aliases and
merges stand for when they are written out, how long a number or a date is. A key that is given twice is an error, since
the reader of the file sees the first and the program takes the last. Tags are refused but for `!!str`.
"""

import os
import stat
from pathlib import Path
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

#: Of a file, which is read as a whole.
MOST_BYTES = 1_000_000
#: Values, with those that aliases stand for each time that they are named.
MOST_VALUES = 50_000
MOST_DEPTH = 32
#: Characters of a number or a date: enough for any that a program can hold.
MOST_DIGITS = 40
_LARGEST = 2**63
#: Words of the parser -> what mends their usual cause.
_MENDS = {
    "cannot start any token": "put a text that begins with @, ` or % in quotes",
    "mapping values are not allowed": "indent the line as its neighbours, or put a text with a colon in quotes",
    "unexpected ':'": "write a blank behind the colon, or put a text with a colon in quotes",
    "did not find expected key": "indent the line as its neighbours, and close every bracket before it",
    "did not find expected ',' or": "close the bracket, and put a text with a colon or a bracket in quotes",
    "did not find expected '-'": "begin each entry of a list with a dash, indented alike",
    "could not find expected ':'": "write a colon and a blank behind each key",
    "scanning a quoted scalar": "close the quote",
    "undefined alias": "put a text that begins with * in quotes",
    "expected a single document": "leave out the `---` between the two",
    "unhashable key": "a key is one word; put a text that begins with { or [ in quotes",
}
_NUMBERS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
_TEXT = "tag:yaml.org,2002:str"


class YamlProblem(ValueError):
    """What is wrong with a YAML text, on one line and without a full stop."""


def read(path: Path) -> object:
    """What a file says.

    Raises:
        OSError: it cannot be read, or is none: a folder, a device or a pipe, which might never end.
        YamlProblem: it is too large, no UTF-8, no YAML, or not within the bounds above.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise YamlProblem(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        return parsed(data.decode())
    except UnicodeDecodeError as error:
        raise YamlProblem(f"it is no UTF-8 text ({error.reason} at byte {error.start})") from error


def parsed(text: str) -> object:
    """What a text says.

    Raises:
        YamlProblem: it is no YAML, or not within the bounds above.
    """
    try:
        return _Loader(text).get_single_data()
    except YamlProblem:
        raise
    except yaml.MarkedYAMLError as error:
        raise YamlProblem(_refused(error, text)) from error
    except yaml.YAMLError as error:
        raise YamlProblem(" ".join(str(error).split())) from error
    except ValueError as error:  # of what only looks like a date
        raise YamlProblem(f"it holds a date that is none ({' '.join(str(error).split())})") from error


class _Loader(Composer, CParser, SafeConstructor, Resolver):
    """Counts while nodes are made of the text, which is before anything is made of them.

    PyYAML's safe loader with libyaml's parser, which takes a third of its time; the composer is PyYAML's own, since
    that of libyaml cannot be extended.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}  # id of a node -> how many values it stands for

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, before = self.peek_event(), self._values
        alias = isinstance(event, yaml.AliasEvent)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _problem(f"it is nested more than {MOST_DEPTH} deep", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:
            raise _problem("an alias names what it is part of", event)
        self._values += self._sizes[id(node)] if alias else 1
        if self._values > MOST_VALUES:
            raise _problem(f"it holds more than {MOST_VALUES:,} values, those of aliases counted each time", event)
        if not alias:
            self._sizes[id(node)] = self._values - before
            _check_tag(event, node)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _problem(f"the key {key.value[:80]!a} is given twice; leave one of them out", key)
                seen.add((key.tag, key.value))
        return node

    def construct_yaml_int(self, node: Any) -> int:
        value: int = super().construct_yaml_int(node)
        if not -_LARGEST <= value < _LARGEST:
            raise _problem("it holds a whole number of more than 64 bits; put it in quotes if it is a text", node)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)  # type: ignore[type-var]


def _check_tag(event: Any, node: Any) -> None:
    if event.tag not in (None, "!", _TEXT):
        raise _problem("tags such as !!int and !!binary are not known here; leave them out", event)
    if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
        raise _problem("it holds a number or a date that is too long; put it in quotes if it is a text", event)


def _refused(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says, where that is, and what mends the usual causes."""
    at, begun = error.problem_mark, error.context_mark
    said = " ".join(filter(None, (error.problem, error.context and f"({error.context}"))) + ")" * bool(error.context)
    if begun:
        said = f"{said[:-1]} that begins in line {begun.line + 1})"
    lines = text.splitlines()
    line = lines[at.line] if at and at.line < len(lines) else ""
    hint = next((mend for words, mend in _MENDS.items() if words in said), "")
    if at and line[: at.column + 1].strip(" ") == "\t":
        hint = "a tab stands where blanks indent; write blanks"
    where = f"line {at.line + 1}, column {at.column + 1}: " if at else ""
    return f"{where}{said}{'; ' * bool(hint)}{hint}"


def _problem(what: str, at: Any) -> YamlProblem:
    return YamlProblem(f"{what} (line {at.start_mark.line + 1})")
