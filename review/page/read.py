"""Import the answers that a review page saved: untrusted JSON lines, each of which is validated.

Invalid lines are counted and skipped. Importing a file twice changes nothing. A file has one annotator: the one whose
page of this run signed it, else the one that the importer names (see `signing`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import ReviewError
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Question, Review
from capcurriculum.run import Run
from capcurriculum.validation import faults
from filters import evidence
from filters.human import form
from filters.human.form import FormAnswers, State, version
from review import pseudonyms
from review.page import signing

ORIGIN = "page"
MAX_BYTES = 50_000_000
_ID = Annotated[str, Field(max_length=64)]


class _Line(BaseModel):
    """One answer as the page writes it; every line names its annotator, so files can be cut and joined."""

    model_config = ConfigDict(extra="forbid", strict=True)

    form: Literal[1]
    page: _ID
    reviewer: Annotated[str, Field(min_length=1, max_length=200)]
    question_id: _ID
    version: _ID
    said_at: Annotated[str, Field(max_length=40)]
    right: Annotated[str, Field(max_length=20)]
    choice: Annotated[str, Field(max_length=form.MAX_CHOICE)] = ""
    kind: Annotated[str, Field(max_length=40)] = ""
    quality: int = 0
    comment: Annotated[str, Field(max_length=form.MAX_COMMENT)] = ""
    signature: _ID = ""

    @property
    def signed(self) -> tuple[str | int, ...]:
        """The signed values, in the page's order."""
        answers = self.right, self.choice, self.kind, self.quality, self.comment
        return self.page, self.reviewer, self.question_id, self.version, self.said_at, *answers

    @property
    def answers(self) -> FormAnswers:
        """The answers without name, time and signature."""
        return FormAnswers(self.right, self.choice, self.kind, self.quality, self.comment)


@dataclass(slots=True)
class Imported:
    """Counts of reviews: new, known, of another version (`older`), of no question of the run (`strange`).

    `problems` counts the invalid lines by their fault, `first` has the number of the first such line.
    """

    new: int = 0
    known: int = 0
    older: int = 0
    strange: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def problem(self, what: str, line: int) -> None:
        """Count an invalid line."""
        self.problems[what] += 1
        self.first.setdefault(what, line)

    def lines(self, path: Path) -> Iterator[str]:
        """The report as text."""
        known = f", {self.known} known before" if self.known else ""
        yield f"{path}: {self.new} new reviews{known}"
        if self.older:
            yield f"  {self.older} are about another version of their question; they are kept, and do not count"
        if self.strange:
            yield f"  {self.strange} are about questions that this run does not have, and were left out"
        for what, count in sorted(self.problems.items()):
            yield f"  {count} lines were left out, the first is line {self.first[what]}: {what}"


def read(run: Run, recipe: Recipe, path: Path, annotator: str = "") -> Imported:
    """Append the reviews of a file to the run; the caller holds the run's lock for writing.

    Lines that no page of this run signed are taken as `annotator`'s, or skipped if that is empty.

    Raises:
        ReviewError: the file is unreadable, holds no answer, or has no single annotator.
    """
    found = Imported()
    lines = _attributed(run, path, list(_lines(path, found)), annotator, found)
    if not lines and not found.problems:
        raise ReviewError(f"{path} holds no answers; give the .jsonl file that the page saved.")
    asked = sorted({line.question_id for _, line in lines})
    ids = pl.DataFrame({"question_id": asked}, schema={"question_id": pl.String})
    questions = {q.question_id: q for q in evidence.questions(run, ids)} if lines else {}
    known = run.reviews.keys("review_id")
    new: dict[str, Review] = {}
    for number, line in lines:
        review = _review(run, recipe, line, number, questions, found)
        if review is None:
            continue
        if review.review_id in known or review.review_id in new:
            found.known += 1
        else:
            new[review.review_id] = review
    found.new = run.reviews.append(new.values())
    return found


def _attributed(
    run: Run, path: Path, lines: Sequence[tuple[int, _Line]], annotator: str, found: Imported
) -> list[tuple[int, _Line]]:
    """The lines under the name of their signer, else of `annotator`; others are counted as problems."""
    claims = [signing.Claim(line.page, line.reviewer, line.signed, line.signature) for _, line in lines]
    genuine = signing.genuine(run, claims)
    signers = {line.reviewer for (_, line), signed in zip(lines, genuine, strict=True) if signed}
    signing.check(path, {line.reviewer.strip() for _, line in lines}, signers, genuine.count(False), annotator)
    kept = []
    for (number, line), signed in zip(lines, genuine, strict=True):
        if signed:
            kept.append((number, line))
        elif annotator:
            kept.append((number, line.model_copy(update={"reviewer": annotator})))
        else:
            found.problem("it is not signed by a page of this run", number)
    return kept


def _lines(path: Path, found: Imported) -> Iterator[tuple[int, _Line]]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise ReviewError(f"{path} is no file of answers; give the .jsonl file that a page saved.")
        if path.stat().st_size > MAX_BYTES:
            raise ReviewError(f"{path} has more than {MAX_BYTES // 10**6} MB, which no review page writes.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ReviewError(f"The answers {path} cannot be read ({reason}); check the path.") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, _Line.model_validate_json(line)
            except ValidationError as error:
                found.problem(faults(error, _Line, line), number)


def _review(
    run: Run, recipe: Recipe, line: _Line, number: int, questions: Mapping[str, Question], found: Imported
) -> Review | None:
    question = questions.get(line.question_id)
    if question is None:
        found.strange += 1
        return None
    if wrong := form.problem(line.answers, question):
        found.problem(wrong, number)
        return None
    try:
        said_at = at(line.said_at)
    except ValueError:
        found.problem(f"the time is {line.said_at!r}, which is none", number)
        return None
    if signing.future(said_at):
        found.problem(f"the time is {line.said_at!r}, which is in the future", number)
        return None
    found.older += line.version != version(question)
    who = pseudonyms.named(run, recipe.review, line.reviewer.strip())
    return review_of(question.question_id, line.version, who, ORIGIN, said_at, line.answers)


def review_of(question_id: str, of: str, annotator: str, origin: str, said_at: str, given: FormAnswers) -> Review:
    """A submitted review of the version `of` of a question, as a row of the table."""
    answers = given.right, given.choice, given.kind, given.quality, given.comment
    values = question_id, of, annotator, origin, said_at, State.SUBMITTED, *answers
    return Review(Review.key(*values), *values)


def at(text: str) -> str:
    """A time in the form of the table: ISO 8601 in UTC to the millisecond, which sorts as text.

    Raises:
        ValueError: `text` is no ISO 8601 time.
    """
    time = datetime.fromisoformat(text)
    try:
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
    except OverflowError as error:  # in the last hours of the year 9999
        raise ValueError(f"{text!r} is no time in UTC") from error
