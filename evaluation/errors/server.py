"""A sample of cases on an Argilla server, asked of people as on the page, and their answers back.

Records are put by the case's key, so pushing again adds only what is not there; pulling again changes nothing. A
response that is discarded or a draft again takes back what was said before.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from capcurriculum.errors import ReviewError
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import SCHEMA, digest
from datagen.batched import windows
from datagen.image_decoding import ImageProblem
from evaluation.errors import people
from evaluation.errors.cases import Case
from evaluation.errors.kinds import KINDS
from evaluation.errors.people import MAX_COMMENT, Said
from evaluation.errors.protocol import LETTERS, shortened
from filters.human.form import State
from review import images as pictures
from review.argilla import pull as pulling
from review.argilla.connection import Connection, Dataset
from review.argilla.layout import Asked, Field, Property, Told, plain
from review.argilla.pull import utc
from review.argilla.push import MOST_CHARACTERS, Wanted

ORIGIN = "argilla"
KIND, COMMENT = "mistake", "comment"
WORKSPACE = ReviewSection().workspace
_BATCH = 16
_GUIDELINES = """Every answer here was graded wrong. Say which mistake the wrong answer follows from: the first one in
the reply without which the answer would have been right. Look at the picture before you read the reply. A conclusion
that would be right if the reply had seen what is there is no mistake of its own."""


@dataclass(slots=True)
class Pulled:
    """How many answers were new and known, how many people there are, and records that are not of this model."""

    new: int = 0
    known: int = 0
    strange: int = 0


def dataset_name(model: str) -> str:
    """The name of a model's dataset, as Argilla takes it; another label has another one."""
    plain_name = "".join(c if c.isalnum() and c.isascii() else "-" for c in model).strip("-")[:60]
    return f"errors-{plain_name or 'model'}-{digest(SCHEMA, 'errors dataset', model)[:6]}".lower()


def push(at: Connection, model: str, cases: Sequence[Case], images: Path, wanted: Wanted, display: Display) -> Dataset:
    """Put cases, whose pictures lie below `images`, on the server.

    Raises:
        ReviewError: the server cannot be used; what it has taken so far stays.
    """
    at.ensure_workspace(WORKSPACE, wanted.create_workspace)
    for account in at.ensure_annotators(WORKSPACE, wanted.annotators):
        display.note(f"made {account.username}, password {account.password} (told once)")
    name = dataset_name(model)
    there = at.find(WORKSPACE, name, KIND) or at.create(WORKSPACE, name, _told(cases), wanted.overlap)
    with display.step("errors, push", len(cases)) as advance:
        for batch in windows(cases, _BATCH):
            for part in _cut([_record(case, images) for case in batch]):
                at.call("PUT", f"datasets/{there.id}/records/bulk", json={"items": part})
            advance(len(batch))
    return there


def _told(cases: Sequence[Case]) -> Told:
    """The layout: as many pictures as the case with most of them has."""
    most = max((len(case.sample.images) for case in cases), default=1)
    fields = (
        Field("question", "Question"),
        *(Field(f"image_{n + 1}", "Picture" if most == 1 else f"Picture {n + 1}", "image", required=False)
          for n in range(most)),
        Field("answers", "Right answer, and the model's"),
        Field("reply", "The model's reply", required=False),
    )  # fmt: skip
    labels = {name: f"{name.replace('_', ' ')}: {meaning}" for name, (_, meaning) in KINDS.items()}
    questions = (
        Asked(KIND, "Which mistake does the wrong answer follow from?", "label", labels, required=True),
        Asked(COMMENT, "Comment", "text"),
    )
    metadata = (Property("benchmark", "Benchmark", visible=True), Property("sample", "Sample", visible=True))
    return Told(fields, questions, metadata, _GUIDELINES)


def _record(case: Case, images: Path) -> dict[str, Any]:
    own = case.sample
    options = [f"{letter}: {' '.join(text.split())}" for letter, text in zip(LETTERS, own.options, strict=False)]
    answers = f"right: {own.gold}\nthe model's: {own.answer or 'none that could be read'}"
    texts = {"question": "\n".join([own.question, *options]), "answers": answers, "reply": shortened(own.prediction)}
    fields = {name: escape(plain(text), quote=False) for name, text in texts.items()}
    for number, name in enumerate(own.images):
        try:
            fields[f"image_{number + 1}"] = pictures.picture(images, name).url
        except ImageProblem:
            continue  # the field is not required; the record shows that there is no picture
    metadata = {"benchmark": plain(own.benchmark)[:200], "sample": plain(own.sample)[:200]}
    return {"external_id": case.key, "fields": fields, "metadata": metadata}


def _cut(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = sum(map(len, record["fields"].values()))
        if part and size + length > MOST_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(record)
        size += length
    if part:
        yield part


def pull(at: Connection, model: str, folder: Path, cases: Collection[str], display: Display) -> Pulled:
    """Append what people said of these cases (their keys) on the server to what people said.

    Raises:
        ReviewError: nothing was pushed, or the server cannot be used.
    """
    there = at.find(WORKSPACE, dataset_name(model), KIND)
    if there is None:
        raise ReviewError(f"Argilla at {at.url} has no dataset {dataset_name(model)}; push the sample first (--push).")
    found = Pulled()
    before = {(one.case, one.person) for one in people.last(folder)}
    said: list[Said] = []
    for record in pulling.on_server(at, there, display):
        if record.external_id not in cases:
            found.strange += 1
            continue
        for response in record.responses:
            one = _said(folder, record.external_id, response)
            if one and (one.kind or (one.case, one.person) in before):
                said.append(one)
    found.new = people.keep(folder, said)
    found.known = len(said) - found.new
    return found


def _said(folder: Path, case: str, response: Any) -> Said | None:
    """A response as a row, with no kind if it does not stand; None for one that is no answer."""
    values = {name: (value or {}).get("value") for name, value in (response.get("values") or {}).items()}
    kind, comment = values.get(KIND), values.get(COMMENT)
    stands = response["status"] == State.SUBMITTED
    if stands and kind not in KINDS:
        return None
    person = people.named(folder, str(response["user_id"]))
    text = comment[:MAX_COMMENT] if isinstance(comment, str) else ""
    return Said(case, person, ORIGIN, utc(response["updated_at"]), str(kind) if stands else "", text)
