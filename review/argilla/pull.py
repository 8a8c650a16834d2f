"""Pull everybody's responses as reviews, and say what happened on the server meanwhile.

What was said stays said: a record or a person that is gone takes nothing back. A response that its own author deleted,
discarded or made a draft again is withdrawn, and one to a record that was changed on the server is kept as an answer to
another version, which never counts. Pulling twice changes nothing.
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
from filters.human.form import Said, State
from filters.human.latest import last_words
from review import pseudonyms
from review.argilla import layout, push
from review.argilla.connection import Connection, Dataset
from review.argilla.push import Pushed, dataset_name
from review.page import signing
from review.page.read import at, review_of

ORIGIN = "argilla"
#: Records of one answer of the server, pictures included.
PAGE = 64
_FLUSH = 2_000


@dataclass(slots=True)
class Report:
    """What a pull found.

    `deleted` records were pushed and are gone, `edited` ones show something else now, `strange` ones were never pushed
    from this run; `left` people are no longer on the server; `unusable` responses hold what is no answer.
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


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the server has it, and its responses."""

    external_id: str
    fields: Mapping[str, Any]
    responses: tuple[Mapping[str, Any], ...]


def pull(run: Run, recipe: Recipe, at: Connection, display: Display) -> Report:
    """Append what is new to the run's reviews; the caller holds the run for writing.

    Raises:
        ReviewError: nothing was pushed yet, or the server cannot be used; reviews pulled so far stay.
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
        ReviewError: there is none.
    """
    found = at.find(recipe.review.workspace, dataset_name(recipe))
    if found is None:
        raise ReviewError(
            f"Argilla at {at.url} has no dataset {dataset_name(recipe)} in the workspace {recipe.review.workspace}; "
            "`capcurriculum review push` makes it."
        )
    return found


def on_server(at: Connection, there: Dataset, display: Display) -> Iterator[Record]:
    """Every record of a dataset once, a page in memory at a time.

    The server pages by place, and records that come or go meanwhile move the others: what is seen twice is passed over.
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
                    name = str(item.get("external_id") or "")
                    yield Record(name, item["fields"], tuple(item.get("responses") or ()))
            advance(len(items))
            if len(items) < PAGE:
                return


def _passed_over(at: Connection, there: Dataset, missing: set[str]) -> Iterator[Record]:
    """Those of the `missing` that are there all the same: they moved while the server was being read."""
    for names in windows(sorted(missing), PAGE):
        scope = {"entity": "record", "property": "external_id"}
        asked = {"filters": {"and": [{"type": "terms", "scope": scope, "values": names}]}}
        words = {"offset": 0, "limit": PAGE, "include": "responses"}
        found = at.call("POST", f"datasets/{there.id}/records/search", params=words, json=asked)
        for item in (one["record"] for one in found["items"]):
            yield Record(str(item["external_id"]), item["fields"], tuple(item.get("responses") or ()))


class _People:
    """Who said something: the name that the table gives them, and whether they are still there."""

    def __init__(self, run: Run, recipe: Recipe, at: Connection) -> None:
        self._run, self._section = run, recipe.review
        self._usernames = at.users()
        self._names: dict[str, str] = {}

    def name(self, user_id: str) -> str:
        """By the account, which stays the same when somebody is renamed; with `names`, by the username."""
        if user_id not in self._names:
            known = (self._usernames or {}).get(user_id, user_id)
            called = known if self._section.annotators == "names" else user_id
            self._names[user_id] = pseudonyms.named(self._run, self._section, called)
        return self._names[user_id]

    def gone(self, name: str) -> bool:
        """Whether somebody of this name is no longer on the server; unknown counts as there."""
        return self._usernames is not None and name not in {self.name(key) for key in self._usernames}


def _reviews(
    at: Connection, there: Dataset, mine: Mapping[str, Pushed], missing: set[str], people: _People, known: set[str],
    report: Report, display: Display,
) -> Iterator[Review]:  # fmt: skip
    everything = chain(on_server(at, there, display), _passed_over(at, there, missing))
    for record in everything:
        own = mine.get(record.external_id)
        if own is None:
            report.strange += 1
            continue
        missing.discard(record.external_id)
        edited = layout.shown(record.fields) != own.shown
        report.edited += edited
        for response in record.responses:
            if response["status"] != State.SUBMITTED:
                continue
            review = _review(own, response, people)
            if review is None:
                report.unusable += 1
                continue
            report.seen.add((review.annotator, review.question_id))
            if edited and review.review_id not in known:
                review = _of_another(review, layout.shown(record.fields))
                report.to_edited += 1
            if review.review_id in known:
                report.known += 1
            else:
                known.add(review.review_id)
                yield review


def _review(own: Pushed, response: Mapping[str, Any], people: _People) -> Review | None:
    values = {name: (value or {}).get("value") for name, value in (response.get("values") or {}).items()}

    def text(name: str) -> str:
        value = values.get(name)
        return value if isinstance(value, str) else ""

    quality = values.get(layout.QUALITY)
    said = Said(
        text(layout.RIGHT), text(layout.CHOICE) or text(layout.ANSWER).strip()[: form.MAX_CHOICE], text(layout.KIND),
        quality if isinstance(quality, int) else 0, text(layout.COMMENT)[: form.MAX_COMMENT],
    )  # fmt: skip
    if said.right not in tuple(form.Right) or said.quality not in (0, *form.QUALITIES):
        return None
    try:
        said_at = utc(str(response["updated_at"]))
    except ValueError:  # no time, or one that no clock shows
        return None
    who = people.name(str(response["user_id"]))
    return review_of(own.question_id, own.version, who, ORIGIN, said_at, said)


def _of_another(review: Review, shown: str) -> Review:
    said = Said(review.right, review.choice, review.kind, review.quality, review.comment)
    return review_of(review.question_id, f"edited {shown}", review.annotator, ORIGIN, review.said_at, said)


def _withdrawn(
    run: Run, mine: Mapping[str, Pushed], gone: set[str], people: _People, report: Report
) -> Iterator[Review]:
    """What stood here and is no longer there, of people and records that are."""
    versions = {(own.question_id, own.version) for own in mine.values()}
    left: set[str] = set()
    for last in as_records(last_words(run), Review):
        about = (last.question_id, last.version) in versions
        if last.origin != ORIGIN or last.state != State.SUBMITTED or not about:
            continue
        if (last.annotator, last.question_id) in report.seen or last.question_id in gone:
            continue
        if people.gone(last.annotator):
            left.add(last.annotator)
            continue
        yield _taken_back(last)
    report.left = len(left)


def _taken_back(last: Review) -> Review:
    """At the time of what it takes back: a later answer is later by the server's own clock."""
    key = Review.key(last.question_id, last.version, last.annotator, ORIGIN, State.WITHDRAWN, last.review_id)
    return replace(last, review_id=key, state=State.WITHDRAWN)


def utc(text: object) -> str:
    """The time of a response as the table keeps it.

    Raises:
        ReviewError: it is none, or is still to come: such an answer would count before all that follow.
    """
    try:
        said_at = at(str(text))
    except ValueError as error:
        said = str(text)[:40]
        raise ReviewError(f"Argilla says {said!r} for the time of a response; is it the right server?") from error
    if signing.future(said_at):
        raise ReviewError(f"A response on Argilla is of {said_at}, which is to come; set its clock or this one.")
    return said_at
