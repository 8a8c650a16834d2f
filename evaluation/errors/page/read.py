"""Read the answers that a page saved: untrusted JSON lines.

Invalid lines are counted by reason and skipped. Reading a file twice changes nothing. A file belongs to one person: the
one whose page signed it, else the one that the importer names (see `review.page.signing`).
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import ReviewError
from capcurriculum.run import Run
from capcurriculum.validation import faults
from evaluation.errors import people
from evaluation.errors.kinds import KINDS
from evaluation.errors.people import MAX_COMMENT, HumanLabel, Imported
from review.page import signing
from review.page.read import MAX_BYTES, at

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
    signature: Annotated[str, Field(max_length=64)] = ""


def read(folder: Path, path: Path, cases: Collection[str], annotator: str = "") -> Imported:
    """Append the answers of a file on these cases (their keys).

    Lines that no page of this analysis signed are attributed to `annotator`, and rejected without one.

    Raises:
        ReviewError: the file cannot be read, or belongs to no known person.
    """
    found = Imported()
    lines = list(_lines(path, found))
    genuine = signing.genuine(Run(folder), [_claim(one) for one, _ in lines])
    signers = {one.person for (one, _), signed in zip(lines, genuine, strict=True) if signed}
    signing.check(path, {one.person.strip() for one, _ in lines}, signers, genuine.count(False), annotator)
    labels: list[HumanLabel] = []
    for (one, when), signed in zip(lines, genuine, strict=True):
        who = one.person if signed else annotator
        if not who:
            found.problems["it is not signed by a page of this analysis"] += 1
        elif signing.future(when):
            found.problems[f"the time is {one.said_at!r}, which is in the future"] += 1
        elif one.kind not in KINDS:
            found.problems[f"the kind is {one.kind!r}, which is unknown"] += 1
        elif one.case not in cases:
            found.strange += 1
        else:
            labels.append(HumanLabel(one.case, people.named(folder, who), ORIGIN, when, one.kind, one.comment))
    return found.keep(folder, labels)


def _lines(path: Path, found: Imported) -> Iterator[tuple[_Line, str]]:
    """Each valid line with its time."""
    for line in _text(path).split("\n"):
        if line.strip():
            try:
                one = _Line.model_validate_json(line)
                yield one, at(one.said_at)
            except (ValidationError, ValueError) as error:
                why = faults(error, _Line, line) if isinstance(error, ValidationError) else "the time is invalid"
                found.problems[why] += 1


def _claim(one: _Line) -> signing.Claim:
    values = (one.page, one.person, one.case, one.said_at, one.kind, one.comment)
    return signing.Claim(one.page, one.person, values, one.signature)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise ReviewError(f"{path} is no file of answers; give the .jsonl file that a page saved.")
        if path.stat().st_size > MAX_BYTES:
            raise ReviewError(f"{path} has more than {MAX_BYTES // 10**6} MB, which no page writes.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ReviewError(f"The answers {path} cannot be read ({reason}); check the path.") from error
