"""Push a sample of cases to an Argilla server, with the questions of the page, and pull the answers.

Records are identified by the case's key, so both are idempotent. A response that is discarded, or a draft again,
retracts the earlier answer.
"""

from collections.abc import Collection, Iterator, Sequence
from html import escape
from pathlib import Path
from string import ascii_uppercase
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
from evaluation.errors.people import MAX_COMMENT, HumanLabel, Imported
from evaluation.errors.protocol import shortened
from filters.human.form import State
from review import images as review_images
from review.argilla import pull as pulling
from review.argilla.connection import Connection, Dataset
from review.argilla.layout import Asked, Field, Property, Told, plain
from review.argilla.pull import utc
from review.argilla.push import MOST_CHARACTERS, Wanted

ORIGIN = "argilla"
KIND, COMMENT = "mistake", "comment"
WORKSPACE = ReviewSection().workspace
_BATCH = 16
_GUIDELINES = """Every answer here was graded wrong. Choose the mistake that the wrong answer follows from: the first
one in the reply without which the answer would have been right. Look at the image before you read the reply. A
conclusion that would be right if the reply had seen what is there is no mistake of its own."""


def dataset_name(model: str) -> str:
    """The name of a model's dataset in characters that Argilla accepts, unique for each label."""
    plain_name = "".join(c if c.isalnum() and c.isascii() else "-" for c in model).strip("-")[:60]
    return f"errors-{plain_name or 'model'}-{digest(SCHEMA, 'errors dataset', model)[:6]}".lower()


def push(at: Connection, model: str, cases: Sequence[Case], images: Path, wanted: Wanted, display: Display) -> Dataset:
    """Upload cases, whose images lie below `images`.

    Raises:
        ReviewError: the server cannot be used; records so far are kept.
    """
    at.ensure_workspace(WORKSPACE, wanted.create_workspace)
    for account in at.ensure_annotators(WORKSPACE, wanted.annotators):
        display.note(f"created {account.username}, password {account.password} (shown once)")
    name = dataset_name(model)
    there = at.find(WORKSPACE, name, KIND) or at.create(WORKSPACE, name, _layout(cases), wanted.overlap)
    with display.step("errors, push", len(cases)) as advance:
        for batch in windows(cases, _BATCH):
            for part in _cut([_record(case, images) for case in batch]):
                at.call("PUT", f"datasets/{there.id}/records/bulk", json={"items": part})
            advance(len(batch))
    return there


def _layout(cases: Sequence[Case]) -> Told:
    """The dataset's fields and questions, with an image field for each image of the case with the most."""
    most = max((len(case.sample.images) for case in cases), default=1)
    fields = (
        Field("question", "Question"),
        *(Field(f"image_{n + 1}", "Image" if most == 1 else f"Image {n + 1}", "image", required=False)
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
    sample = case.sample
    options = [
        f"{letter}: {' '.join(text.split())}" for letter, text in zip(ascii_uppercase, sample.options, strict=False)
    ]
    texts = {
        "question": "\n".join([sample.question, *options]),
        "answers": f"right: {sample.gold}\nthe model's: {sample.answer or 'none that could be read'}",
        "reply": shortened(sample.prediction),
    }
    fields = {name: escape(plain(text), quote=False) for name, text in texts.items()}
    for number, name in enumerate(sample.images):
        try:
            fields[f"image_{number + 1}"] = review_images.picture(images, name).url
        except ImageProblem:
            continue  # the field is optional
    metadata = {"benchmark": plain(case.benchmark)[:200], "sample": plain(sample.sample)[:200]}
    return {"external_id": case.key, "fields": fields, "metadata": metadata}


def _cut(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Parts of at most `MOST_CHARACTERS`, the limit of a request."""
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


def pull(at: Connection, model: str, folder: Path, cases: Collection[str], display: Display) -> Imported:
    """Append the answers on these cases (their keys) that the server has.

    Raises:
        ReviewError: nothing was pushed, or the server cannot be used.
    """
    there = at.find(WORKSPACE, dataset_name(model), KIND)
    if there is None:
        raise ReviewError(f"Argilla at {at.url} has no dataset {dataset_name(model)}; push the sample first (--push).")
    found = Imported()
    before = {(one.case, one.person) for one in people.last(folder)}
    labels: list[HumanLabel] = []
    for record in pulling.on_server(at, there, display):
        if record.external_id not in cases:
            found.strange += 1
            continue
        for response in record.responses:
            one = _label(folder, record.external_id, response)
            if one and (one.kind or (one.case, one.person) in before):
                labels.append(one)
    return found.keep(folder, labels)


def _label(folder: Path, case: str, response: Any) -> HumanLabel | None:
    """A response as a row, without a kind if it is not submitted; None for one of an unknown kind."""
    values = {name: (value or {}).get("value") for name, value in (response.get("values") or {}).items()}
    kind, comment = values.get(KIND), values.get(COMMENT)
    submitted = response["status"] == State.SUBMITTED
    if submitted and kind not in KINDS:
        return None
    person = people.named(folder, str(response["user_id"]))
    text = comment[:MAX_COMMENT] if isinstance(comment, str) else ""
    return HumanLabel(case, person, ORIGIN, utc(response["updated_at"]), str(kind) if submitted else "", text)
