"""Read what people said on a page: JSON lines from outside, of which every one is checked.

A line that is not right is counted and told, and never stops the others. Reading a file twice changes nothing.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import ReviewError
from evaluation.errors import people
from evaluation.errors.kinds import KINDS
from evaluation.errors.people import MAX_COMMENT, Said
from filters.review.page.read import MAX_BYTES, at

ORIGIN = "page"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    form: Literal[1]
    page: Annotated[str, Field(max_length=64)]
    person: Annotated[str, Field(min_length=1, max_length=200)]
    case: Annotated[str, Field(max_length=64)]
    said_at: Annotated[str, Field(max_length=40)]
    kind: Annotated[str, Field(max_length=40)]
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] = ""


@dataclass(slots=True)
class Imported:
    """How many answers were new, known, about no case of this model; and what was wrong with other lines."""

    new: int = 0
    known: int = 0
    strange: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def read(folder: Path, path: Path, cases: Collection[str]) -> Imported:
    """Append what a file says of these cases (their keys) to what people said.

    Raises:
        ReviewError: the file cannot be read.
    """
    found = Imported()
    said: list[Said] = []
    for line in _text(path).splitlines():
        if not line.strip():
            continue
        try:
            one = _Line.model_validate_json(line)
            when = at(one.said_at)
        except (ValidationError, ValueError) as error:
            found.problems[_why(error)] += 1
            continue
        if one.kind not in KINDS:
            found.problems[f"the kind is {one.kind!r}, which is none"] += 1
        elif one.case not in cases:
            found.strange += 1
        else:
            said.append(Said(one.case, people.named(folder, one.person), ORIGIN, when, one.kind, one.comment))
    found.new = people.keep(folder, said)
    found.known = len(said) - found.new
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReviewError(f"{path} has more than {MAX_BYTES // 10**6} MB, which no page writes.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ReviewError(f"The answers {path} cannot be read ({reason}); check the path.") from error


def _why(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'line'}: {first['msg']}"
    return "the time is none"
