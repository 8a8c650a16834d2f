"""JSON documents of rows, read as streams: an array, an object of rows by their ids, or an array inside an object.

A document that breaks off is refused, or gives the rows that are whole.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import ijson

from capcurriculum.errors import SourceError
from capcurriculum.files import json_file
from capcurriculum.reasons import Reason
from datagen.sources.formats import encoding
from datagen.sources.formats.record import Keys, Reading, Record, sentence

#: The name under which rows of an object of rows carry theirs.
KEY = "(key)"
ARRAY = "item"
_FIRST_MEMBERS = 20
#: A document with NaN, which is no JSON and which Python writes, is read whole up to so many bytes.
_LENIENT_BYTES = 1_000_000_000
#: The values that rows are made of, read from a bounded stream of JSON.
_Values = Callable[[json_file.Shallow], Iterable[object]]


def read(path: Path, reading: Reading) -> Iterator[Record]:
    """The rows of a document.

    Raises:
        SourceError: it is no valid JSON, or has no rows.
    """
    with path.open("rb") as handle:
        first = handle.read(64).removeprefix(encoding.MARK).lstrip()[:1]
    if first != b"{" or reading.inner != ARRAY:
        yield from _opened(path, reading, _elements(reading.inner), reading.inner)
        return
    members = _look(path, reading.limits.row_bytes)
    if members.by_columns(reading.needed):
        raise SourceError(
            f"{path} is a table column by column; write it row by row (pandas: to_json(orient='records', lines=True))."
        )
    if members.is_split(reading.needed):
        raise SourceError(
            f"{path} is a table as pandas writes it with orient='split'; write it row by row (pandas: "
            "read_json(..., orient='split', dtype=False).to_json(..., orient='records', lines=True))."
        )
    if members.is_row(reading.needed):
        yield from _opened(path, reading, _whole)
    elif members.objects and not (members.others or members.arrays or members.lists):
        yield from _opened(path, reading, _by_key)
    elif len(members.arrays) == 1:
        inner = f"{members.arrays[0]}.item"
        yield from _opened(path, reading, _elements(inner), inner)
    else:
        named = f": {', '.join(map(repr, members.arrays[:5]))}" if members.arrays else ""
        raise SourceError(
            f"{path} is one JSON object with {len(members.arrays) or 'no'} arrays of rows in it{named}; "
            "give a file that is an array of rows, an object of rows, or JSON lines."
        )


def read_values(path: Path, reading: Reading) -> Iterator[Record]:
    """The objects and arrays of a file that has one after the other, each a row.

    Raises:
        SourceError: it is no valid JSON.
    """
    return _opened(path, reading, _whole)


def stream(handle: IO[bytes], where: str, reading: Reading, inner: str) -> Iterator[Record]:
    """The elements of the array at `inner` of a JSON document; a list becomes the column `conversation`.

    Raises:
        SourceError: it is no valid JSON, or has no such array; `where` is what the sentence calls it.
    """
    return _checked(_records(handle, reading, _elements(inner)), where, reading, inner)


def _opened(path: Path, reading: Reading, values: _Values, inner: str = ARRAY) -> Iterator[Record]:
    with path.open("rb") as handle:
        yield from _checked(_records(handle, reading, values), str(path), reading, inner, path)


def _checked(
    rows: Iterator[Record], where: str, reading: Reading, inner: str, path: Path | None = None
) -> Iterator[Record]:
    """The rows; what ends them too early is an error, or with `keep` a last record that says so."""
    count = 0
    try:
        for record in rows:
            count = record.number
            yield record
    except json_file.TooDeep as error:
        raise SourceError(f"{where} has values {error}, after row {count} or a few later; take them out.") from error
    except json_file.TooLong as error:
        raise SourceError(
            f"{where} has a row of more than {reading.limits.row_bytes:,} bytes after row {count}; if it is in order, "
            "raise row_bytes in the source's limits."
        ) from error
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError) as error:
        rest = _lenient(path, count, inner) if path else None
        if rest is not None:
            for number, value in enumerate(rest, count + 1):
                yield _record(reading.keys, number, value)
            return
        if not reading.keep or not count:
            of_bytes = isinstance(error, UnicodeDecodeError) or "invalid bytes in UTF8" in str(error)
            if path and of_bytes and (undecoded := encoding.first_undecoded(path)):
                raise SourceError(f"{where} {undecoded}.") from error
            raise reading.broken(where, count, f"is not valid JSON after row {count}: {sentence(error)}") from error
        yield reading.cut_off(where, count)
    if not count:
        missing = "array of rows" if inner == ARRAY else f"rows at {inner.removesuffix('.item')!r}"
        raise SourceError(f"{where} has no {missing}; check that the source's kind fits this file.")


def _lenient(path: Path, count: int, inner: str) -> list[object] | None:
    """The elements behind the first `count` of a document that is valid but for NaN and Infinity; else None."""
    if path.stat().st_size > _LENIENT_BYTES:
        return None
    try:
        with path.open("rb") as handle:
            value = json.loads(_bytes(handle, _LENIENT_BYTES).read())
        for name in inner.split(".")[:-1]:
            value = value[name]
    except (ValueError, RecursionError, KeyError, TypeError, json_file.TooDeep, json_file.TooLong):
        return None
    if isinstance(value, dict) and inner == ARRAY:
        value = [{KEY: name} | row if isinstance(row, dict) else row for name, row in value.items()]
    return value[count:] if isinstance(value, list) else None


def _bytes(handle: IO[bytes], most: int) -> json_file.Shallow:
    return json_file.Shallow(encoding.Unmarked(handle), most)


def _elements(inner: str) -> _Values:
    return lambda data: ijson.items(data, inner, use_float=True)


def _by_key(data: json_file.Shallow) -> Iterator[object]:
    for name, value in ijson.kvitems(data, "", use_float=True):
        yield {KEY: name} | value if isinstance(value, dict) else value


def _whole(data: json_file.Shallow) -> Iterable[object]:
    found: Iterable[object] = ijson.items(data, "", use_float=True, multiple_values=True)
    return found


def _records(handle: IO[bytes], reading: Reading, values: _Values) -> Iterator[Record]:
    data = _bytes(handle, reading.limits.row_bytes)
    for number, value in enumerate(values(data), 1):
        data.begin()
        yield _record(reading.keys, number, value)


def _record(keys: Keys, number: int, value: object) -> Record:
    if isinstance(value, Mapping):
        return keys.record(number, value)
    if isinstance(value, list):
        return keys.record(number, {"conversation": value})
    record = keys.record(number, {"value": value})
    return record.refused(Reason.MALFORMED_LINE, f"row {number} is neither an object nor a list")


@dataclass(slots=True)
class _Members:
    """The members of a JSON object by what they are: objects, arrays of rows, arrays of texts or numbers, the rest.

    `inside` are names in the first of the objects; `tables` are those of the arrays that begin with an array.
    """

    objects: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)

    def is_row(self, needed: Sequence[str]) -> bool:
        """Whether the object itself is a row: it has the columns, or nothing in it could be one."""
        columns = {column.split(".")[0] for column in needed}
        if columns:
            return columns <= {*self.objects, *self.arrays, *self.lists, *self.others}
        return bool(self.others or self.lists) and not self.arrays

    def by_columns(self, needed: Sequence[str]) -> bool:
        """Whether the columns hold the values of all rows each, as pandas writes them by default."""
        columns = {column.split(".")[0] for column in needed}
        numbered = bool(self.inside) and all(name.isdigit() for name in self.inside)
        return bool(columns) and (columns <= {*self.lists} or (columns <= {*self.objects} and numbered))

    def is_split(self, needed: Sequence[str]) -> bool:
        """Whether the names of columns stand beside a list of rows without them."""
        names = {*self.objects, *self.arrays, *self.lists, *self.others}
        here = names <= {"columns", "index", "data"} and "columns" in self.lists and "data" in self.tables
        return here and not {column.split(".")[0] for column in needed} & names


def _look(path: Path, most: int) -> _Members:
    """What the members of an object are: the first ones if all of those are objects, else all of them."""
    found = _Members()
    name, depth, inside_array = "", 0, False
    with path.open("rb") as handle:
        try:
            data = _bytes(handle, most)
            for event, value in ijson.basic_parse(data):
                data.begin()
                depth -= event in ("end_map", "end_array")
                if depth == 1 and event == "map_key":
                    if len(found.objects) >= _FIRST_MEMBERS and not (found.arrays or found.lists or found.others):
                        break
                    name = value
                elif depth == 1:
                    inside_array = event == "start_array"
                    if not event.startswith("end_"):
                        kinds = {"start_map": found.objects, "start_array": found.lists}
                        kinds.get(event, found.others).append(name)
                elif depth == 2 and inside_array and event in ("start_map", "start_array") and name in found.lists:
                    found.lists.remove(name)
                    found.arrays.append(name)
                    if event == "start_array":
                        found.tables.append(name)
                elif depth == 2 and event == "map_key" and len(found.objects) == 1:
                    found.inside.add(value)
                depth += event in ("start_map", "start_array")
        except json_file.TooDeep as error:
            raise SourceError(f"{path} has values {error}; take them out.") from error
        except (ijson.JSONError, ValueError, ArithmeticError, json_file.TooLong):
            pass  # who reads the rows says where it breaks off
    return found
