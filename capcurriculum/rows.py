"""The frozen records that cross room borders, and their content keys.

A key is a hash of canonical content, never of position, time or process, so the same work is never done twice and ids
agree between machines. What enters a key is listed here and nowhere else; raise `SCHEMA` when its meaning changes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import ClassVar

SCHEMA = 1
LETTERS = ("A", "B", "C", "D")


class Outcome(StrEnum):
    """What a reply is worth. UNPARSED and FAILED are unknown, and unknown is never wrong."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    FAILED = "failed"


class Arm(StrEnum):
    """What a solver is shown beside the question."""

    IMAGE = "image"
    CAPTION = "caption"
    BLIND = "blind"
    SWAPPED = "swapped"
    BOTH = "both"  # image and caption together
    TEXT = "text"  # a problem that never had an image
    DESCRIPTION = "description"  # what a model wrote of the image, instead of the caption


class Purpose(StrEnum):
    """Why a model was asked: to judge the question, to check its marked answer, or to measure how hard it is.

    ROLLOUT measures that before training, with the recipe's model; REFRESH again in the midst of a training, with one
    of its checkpoints. What is made of a run reads the former alone.
    """

    PROBE = "probe"
    AUDIT = "audit"
    ROLLOUT = "rollout"
    REFRESH = "refresh"


class Stage(StrEnum):
    """The built-in capabilities, in the order they are taught; a recipe may name more, each made in the way of one."""

    PERCEPTION = "perception"
    TEXT = "text"
    VISUAL = "visual"


def digest(*parts: object) -> str:
    """First 16 hex digits of the sha256 of the canonical JSON of `parts` (sorted keys, no spaces, UTF-8)."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def bytes_digest(data: bytes) -> str:
    """First 16 hex digits of the sha256 of `data`: the `image_id` of an image file."""
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """A source row: an image file and what its caption says.

    `image_path` is relative to the source's folder, so a run does not depend on where its images lie; bytes are read
    only when a request or a shard needs them. `row_key` names the source line, so that a resumed run does not read
    its image again. `stage` is the one its questions will be of: two may be made from the same images.
    """

    caption_id: str
    row_key: str
    image_id: str
    image_path: str
    caption: str
    source: str
    license: str
    example_id: str
    stage: str = Stage.PERCEPTION.value

    @staticmethod
    def key(image_id: str, caption: str, stage: str = Stage.PERCEPTION) -> str:
        """The `caption_id`."""
        further = () if stage == Stage.PERCEPTION else (stage,)
        return digest(SCHEMA, "caption", image_id, caption, *further)


@dataclass(frozen=True, slots=True)
class Question:
    """A problem with its gold answer: four options and a letter, or no options and free text.

    `problem` is the text a solver reads, without any image placeholder, and `text` the bare question of one with
    options; `image_path` is relative to its source's folder. What follows `license` says how a teacher came to write
    it: `attempt` is the try that gave it, `slot` which of the image's questions it is, `sampling` the record as JSON.
    `kind` is the gold answer's (`capcurriculum.grading.kinds.Kind`), found once or named by the source.
    """

    question_id: str
    stage: str
    problem: str
    answer: str
    options: tuple[str, ...]
    skill: str
    image_id: str
    image_path: str
    caption: str
    caption_id: str
    source: str
    license: str
    text: str = ""
    model: str = ""
    prompt_digest: str = ""
    attempt: int = 0
    slot: int = 0
    sampling: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    kind: str = ""

    @staticmethod
    def key(stage: str, image_id: str, problem: str, answer: str) -> str:
        """The `question_id`."""
        return digest(SCHEMA, "question", stage, image_id, problem, answer)


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn; `images` counts the pictures shown before its text."""

    role: str
    text: str
    images: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn; `top_k` 0 means no limit, `temperature` 0 greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512

    def json(self) -> str:
        """The record as one line of JSON, as tables keep it."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Request:
    """One reply wanted from one model. `image_paths` can be opened as they are.

    `key` is a hash of model, messages, image digests, sampling, JSON schema and rollout index: all that can change the
    reply, and nothing that cannot (endpoint, batch size, concurrency).
    """

    key: str
    model: str
    messages: tuple[Message, ...]
    image_paths: tuple[str, ...]
    sampling: Sampling
    rollout: int = 0
    schema: str = ""

    @property
    def prompt_key(self) -> str:
        """The same for requests that differ in nothing but the rollout.

        Images enter by their paths, so it is for comparing requests of one process, not for storing.
        """
        turns = [[m.role, m.text, m.images] for m in self.messages]
        drawn = [self.sampling.temperature, self.sampling.top_p, self.sampling.top_k, self.sampling.max_tokens]
        return digest(SCHEMA, "prompt", self.model, turns, self.image_paths, drawn, self.schema)

    @staticmethod
    def make(
        model: str,
        messages: tuple[Message, ...],
        sampling: Sampling,
        *,
        images: tuple[tuple[str, str], ...] = (),
        rollout: int = 0,
        schema: str = "",
    ) -> "Request":
        """`images` are (image_id, path) pairs; only the id is part of the key."""
        turns = [[m.role, m.text, m.images] for m in messages]
        drawn = [sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_tokens]
        key = digest(SCHEMA, "request", model, turns, [i for i, _ in images], drawn, rollout, schema)
        return Request(key, model, messages, tuple(p for _, p in images), sampling, rollout, schema)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: a text, or why there is none in `error`; where the engine could not give one `finish` is `error`.

    Summed over responses, `tokens_in` and `tokens_out` are what was paid for: where several rollouts shared one prompt
    the first carries its tokens and the others 0, and where an endpoint told only the sum of what they wrote it is
    shared out by the length of their texts.
    """

    key: str
    text: str
    finish: str
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""

    @property
    def unread(self) -> str:
        """Why its text says nothing of what the model thinks; "" if it does."""
        return self.error or ("cut off at max_tokens" if self.finish == "length" else "")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of the teacher for one of an image's questions; an empty `problem` means that it was taken."""

    KEY: ClassVar = ("caption_id", "slot", "attempt")

    request_key: str
    caption_id: str
    attempt: int
    skill: str
    text: str
    problem: str
    finish: str
    tokens_in: int
    tokens_out: int
    model: str
    prompt_digest: str
    slot: int = 0
    sampling: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """What a model wrote of an image, seeing nothing else; `text` is empty where it gave nothing (`finish` is `error`).

    `describer` names the model with a digest of all that can change what it writes, `rollout` tells its descriptions of
    one image apart.
    """

    KEY: ClassVar = ("image_id", "describer", "rollout")

    request_key: str
    image_id: str
    describer: str
    rollout: int
    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    prompt_digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A graded reply: the evidence that filters and pass rates read.

    `order` counts how far the options were rotated when it was asked; `answer` is the letter of the question as it is
    written, whatever letter the reply named.
    """

    KEY: ClassVar = ("question_id", "solver", "purpose", "arm", "rollout", "order")

    request_key: str
    question_id: str
    solver: str
    purpose: str
    arm: str
    rollout: int
    text: str
    answer: str
    outcome: str
    finish: str
    tokens_in: int
    tokens_out: int
    prompt_digest: str
    detail: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class Regrade:
    """What an answer is worth under the key that people found right, while `answers` keeps what it was worth before.

    The six columns after `key` name the answer; `outcome`, `answer` and `detail` are as in `Answer`.
    """

    question_id: str
    key: str
    solver: str
    purpose: str
    arm: str
    rollout: int
    order: int
    outcome: str
    answer: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What one person said of one question.

    `version` is a digest of what the person was shown: what was said of another version never counts. Of the rows of
    one person, question and version the last counts, and one whose `state` is `withdrawn` takes back those before it.
    `right` is `yes`, `no` or `cannot_tell`; `choice` the right option's letter, `none`, or a free answer ("" if not
    given); `kind` a kind of skill; `quality` 1 to 5 (0: not given). `origin` says by which way it came, `said_at` when
    it was said (ISO 8601).
    """

    review_id: str
    question_id: str
    version: str
    annotator: str
    origin: str
    said_at: str
    state: str
    right: str
    choice: str = ""
    kind: str = ""
    quality: int = 0
    comment: str = ""

    @staticmethod
    def key(question_id: str, version: str, annotator: str, origin: str, *said: object) -> str:
        """The `review_id`: the same words at the same time by the same person are one review."""
        return digest(SCHEMA, "review", question_id, version, annotator, origin, *said)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One filter's word on one row: the only place where keeping and dropping is recorded.

    `question_id` is the `caption_id` while no question exists yet, and the `row_key` of a source line that never became
    a row. `evidence` are request keys. `params` is the digest of what the recipe tells the filter ("" for the steps
    that no recipe lists): under another one the question is judged anew, and the last verdict under the recipe's own
    counts (see `capcurriculum.ledger.verdicts`).
    """

    question_id: str
    stage: str
    filter: str
    keep: bool
    reason: str
    detail: str = ""
    evidence: tuple[str, ...] = field(default=())
    params: str = ""
