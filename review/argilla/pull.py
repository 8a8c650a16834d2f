"""Pull responses from Argilla as reviews, and report what changed on the server.

A deleted record or account withdraws nothing. A response that its author deleted, discarded or turned into a draft is
withdrawn; one to a record that was edited on the server is kept as a review of another version, which never counts.
Pulling is idempotent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from capcurriculum.errors import ReviewError
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Review
from capcurriculum.run import Run
from capcurriculum.tables import records as as_records
from datagen.batched import windows
from filters.human import form
from filters.human.form import FormAnswers, State
from filters.human.latest import last_words
from review import pseudonyms
from review.argilla import layout, push
from review.argilla.connection import Connection, Dataset
from review.argilla.push import Pushed, dataset_name
from review.page import signing
from review.page.read import at, review_of

ORIGIN = "argilla"
#: Records of one response, images included.
PAGE = 64
_FLUSH = 2_000


@dataclass(slots=True)
class Report:
    """Counts of a pull.

    `new`, `known`, `withdrawn`, `unusable` and `to_edited` (of an edited record) are responses; `deleted`, `edited` and
    `strange` (not pushed from this run) are records; `left` are people without an account.
    """

    dataset: str = ""
    new: int = 0
    known: int = 0
    withdrawn: int = 0
    deleted: int = 0
    edited: int = 0
    to_edited: int = 0
    strange: int = 0
    left: int = 0
    unusable: int = 0
    seen: set[tuple[str, str]] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"{self.new} new reviews from {self.dataset}, {self.known} known before."
        for count, what in (
            (self.withdrawn, "responses were taken back by those who had given them"),
            (self.to_edited, "responses are about records edited on the server; they are kept, and do not count"),
            (self.unusable, "responses hold no answer that could be read, and were left out"),
            (self.edited, "records show something else on the server than what was pushed"),
            (self.deleted, "records that were pushed are no longer there; reviews of them stay"),
            (self.strange, "records were not pushed from this run, and were left out"),
            (self.left, "people are no longer on the server; their reviews stay"),
        ):
            if count:
                yield f"  {count} {what}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record on the server with its responses, as JSON of Argilla's API."""

    external_id: str
    fields: Mapping[str, Any]
    responses: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Record":
        """The record of an item of a response."""
        return cls(str(item.get("external_id") or ""), item["fields"], tuple(item.get("responses") or ()))


def pull(run: Run, recipe: Recipe, at: Connection, display: Display) -> Report:
    """Append new reviews to the run; the caller holds the run's lock for writing.

    Raises:
        ReviewError: nothing was pushed yet, or the server refuses or fails; reviews pulled so far stay.
    """
    there = dataset(recipe, at)
    report = Report(there.name)
    known = run.reviews.keys("review_id")
    mine = push.pushed(run, there.id)
    people = _People(run, recipe, at)
    missing = set(mine)
    found = _reviews(at, there, mine, missing, people, known, report, display)
    for part in windows(found, _FLUSH):
        report.new += run.reviews.append(part)
    report.deleted = len(missing)
    gone = {mine[key].question_id for key in missing}
    report.withdrawn = run.reviews.append(_withdrawn(run, mine, gone, people, report))
    run.event("review pulled", dataset=there.id, new=report.new, withdrawn=report.withdrawn)
    return report


def dataset(recipe: Recipe, at: Connection) -> Dataset:
    """The run's dataset on the server.

    Raises:
        ReviewError: it does not exist.
    """
    found = at.find(recipe.review.workspace, dataset_name(recipe))
    if found is None:
        raise ReviewError(
            f"Argilla at {at.url} has no dataset {dataset_name(recipe)} in the workspace {recipe.review.workspace}; "
            "`capcurriculum review push` makes it."
        )
    return found


def on_server(at: Connection, there: Dataset, display: Display) -> Iterator[Record]:
    """Every record of a dataset once, one page in memory at a time.

    The server pages by offset, so records that are added or deleted meanwhile shift the others; repeats are skipped.
    """
    seen: set[str] = set()
    total = int(at.call("GET", f"datasets/{there.id}/progress")["total"])
    with display.step("review, pull", total) as advance:
        for offset in range(0, 10**9, PAGE):
            words = {"offset": offset, "limit": PAGE, "include": "responses"}
            items = at.call("GET", f"datasets/{there.id}/records", params=words)["items"]
            for item in items:
                if item["id"] not in seen:
                    seen.add(item["id"])
                    yield Record.of(item)
            advance(len(items))
            if len(items) < PAGE:
                return


def _shifted(at: Connection, there: Dataset, missing: set[str]) -> Iterator[Record]:
    """Those of the `missing` records that exist: they were shifted to a page that had been read."""
    for names in windows(sorted(missing), PAGE):
        scope = {"entity": "record", "property": "external_id"}
        asked = {"filters": {"and": [{"type": "terms", "scope": scope, "values": names}]}}
        words = {"offset": 0, "limit": PAGE, "include": "responses"}
        found = at.call("POST", f"datasets/{there.id}/records/search", params=words, json=asked)
        yield from (Record.of(one["record"]) for one in found["items"])


class _People:
    """Reviewers' names in the table, and whether they still have an account."""

    def __init__(self, run: Run, recipe: Recipe, at: Connection) -> None:
        self._run, self._section = run, recipe.review
        self._usernames = at.users()
        self._names: dict[str, str] = {}

    def name(self, user_id: str) -> str:
        """A pseudonym of the account's id, which survives a renaming; with `annotators: names` the username."""
        if user_id not in self._names:
            known = (self._usernames or {}).get(user_id, user_id)
            called = known if self._section.annotators == "names" else user_id
            self._names[user_id] = pseudonyms.named(self._run, self._section, called)
        return self._names[user_id]

    def gone(self, name: str) -> bool:
        """Whether no account has this name; False where accounts cannot be listed."""
        return self._usernames is not None and name not in {self.name(key) for key in self._usernames}


def _reviews(
    at: Connection, there: Dataset, mine: Mapping[str, Pushed], missing: set[str], people: _People, known: set[str],
    report: Report, display: Display,
) -> Iterator[Review]:  # fmt: skip
    for record in chain(on_server(at, there, display), _shifted(at, there, missing)):
        pushed = mine.get(record.external_id)
        if pushed is None:
            report.strange += 1
            continue
        missing.discard(record.external_id)
        shown = layout.shown(record.fields)
        edited = shown != pushed.shown
        report.edited += edited
        for response in record.responses:
            if response["status"] != State.SUBMITTED:
                continue
            review = _review(pushed, response, people)
            if review is None:
                report.unusable += 1
                continue
            report.seen.add((review.annotator, review.question_id))
            if edited and review.review_id not in known:
                given = FormAnswers(review.right, review.choice, review.kind, review.quality, review.comment)
                version = f"edited {shown}"
                review = review_of(review.question_id, version, review.annotator, ORIGIN, review.said_at, given)
                report.to_edited += 1
            if review.review_id in known:
                report.known += 1
            else:
                known.add(review.review_id)
                yield review


def _review(pushed: Pushed, response: Mapping[str, Any], people: _People) -> Review | None:
    values = {name: (value or {}).get("value") for name, value in (response.get("values") or {}).items()}

    def text(name: str) -> str:
        value = values.get(name)
        return value if isinstance(value, str) else ""

    quality = values.get(layout.QUALITY)
    given = FormAnswers(
        text(layout.RIGHT), text(layout.CHOICE) or text(layout.ANSWER).strip()[: form.MAX_CHOICE], text(layout.KIND),
        quality if isinstance(quality, int) else 0, text(layout.COMMENT)[: form.MAX_COMMENT],
    )  # fmt: skip
    if given.right not in tuple(form.Right) or given.quality not in (0, *form.QUALITIES):
        return None
    try:
        said_at = utc(str(response["updated_at"]))
    except ValueError:
        return None
    who = people.name(str(response["user_id"]))
    return review_of(pushed.question_id, pushed.version, who, ORIGIN, said_at, given)


def _withdrawn(
    run: Run, mine: Mapping[str, Pushed], gone: set[str], people: _People, report: Report
) -> Iterator[Review]:
    """Withdrawals of reviews whose response is gone while its record and account still exist."""
    versions = {(one.question_id, one.version) for one in mine.values()}
    left: set[str] = set()
    for last in as_records(last_words(run), Review):
        pulled = last.origin == ORIGIN and last.state == State.SUBMITTED
        if not pulled or (last.question_id, last.version) not in versions:
            continue
        if (last.annotator, last.question_id) in report.seen or last.question_id in gone:
            continue
        if people.gone(last.annotator):
            left.add(last.annotator)
            continue
        # It has the time of the review, since a later response is later by the server's clock.
        key = Review.key(last.question_id, last.version, last.annotator, ORIGIN, State.WITHDRAWN, last.review_id)
        yield replace(last, review_id=key, state=State.WITHDRAWN)
    report.left = len(left)


def utc(text: object) -> str:
    """The time of a response in the form of `page.read.at`.

    Raises:
        ReviewError: it is invalid or in the future, where it would outrank all later responses.
    """
    try:
        said_at = at(str(text))
    except ValueError as error:
        reason = f"{str(text)[:40]!r} for the time of a response"
        raise ReviewError(f"Argilla gives {reason}; check that ARGILLA_API_URL is the right server.") from error
    if signing.future(said_at):
        raise ReviewError(f"A response on Argilla is of {said_at}, which is in the future; set its clock or this one.")
    return said_at
