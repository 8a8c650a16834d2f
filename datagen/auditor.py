"""Ask auditors whether marked answers are right; their votes become `answers` rows with the purpose audit.

An auditor that answers is a solver like any other, and its choice is compared with the key. One that judges is shown
the marked answer and replies with one JSON object, which is checked also where the engine constrains decoding. Those
that describe are in `datagen.describer`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from capcurriculum import prompts
from capcurriculum.errors import ParseError
from capcurriculum.grading import json_reply
from capcurriculum.recipe.auditor import AuditSection
from capcurriculum.rows import LETTERS, Answer, Arm, Message, Outcome, Purpose, Question, Request, Response
from datagen import describer
from datagen.engines.openai import headers
from datagen.engines.protocol import Engine
from datagen.option_rotation import rotated
from datagen.setting import Setting
from datagen.solver import Asked, Solver, answer_row, images

MAX_SEEN = 400


class Opinion(StrEnum):
    """What a vote says of a marked answer; UNKNOWN ones were not given or cannot be read."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


#: What the engine is asked to keep to; its digest is part of the request. Looking comes before judging.
JSON_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "seen": {"type": "string", "maxLength": MAX_SEEN},
            "verdict": {"enum": [Opinion.AGREE, Opinion.DISAGREE, Opinion.UNSURE]},
        },
        "required": ["seen", "verdict"],
        "additionalProperties": False,
    },
    separators=(",", ":"),
)
_OUTCOMES = {"agree": Outcome.RIGHT, "disagree": Outcome.WRONG, "unsure": Outcome.UNPARSED}


def _plain(word: object) -> object:
    return word.strip().lower() if isinstance(word, str) else word


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    seen: str
    verdict: Annotated[Literal["agree", "disagree", "unsure"], BeforeValidator(_plain)]


def opinion(vote: Answer) -> Opinion:
    """What an `answers` row with the purpose audit says."""
    if vote.outcome in (Outcome.RIGHT, Outcome.WRONG):
        return Opinion.AGREE if vote.outcome == Outcome.RIGHT else Opinion.DISAGREE
    return Opinion.UNSURE if vote.outcome == Outcome.UNPARSED and vote.answer == "unsure" else Opinion.UNKNOWN


@dataclass(frozen=True, slots=True)
class Vote:
    """What one vote says of a marked answer, and which option it is for, where it names one."""

    opinion: Opinion
    option: str = ""


def votes_in(replies: Iterable[Answer]) -> list[Vote]:
    """The votes of `answers` rows; readings of one description in several orders of the options are one together.

    They must choose the same option. Where they do not, the reader followed the letters, and the description tells
    nothing: UNSURE. Where one of them is unknown, so is the vote.
    """
    readings: dict[tuple[str, int], list[Answer]] = {}
    for reply in replies:
        readings.setdefault((reply.solver, reply.rollout), []).append(reply)
    return [_together(own) for own in readings.values()]


def _together(readings: Sequence[Answer]) -> Vote:
    said, answers = {opinion(reading) for reading in readings}, {reading.answer for reading in readings}
    if Opinion.UNKNOWN in said:
        return Vote(Opinion.UNKNOWN)
    if len(answers) > 1:
        return Vote(Opinion.UNSURE)
    answer = answers.pop()
    return Vote(said.pop(), answer if answer in LETTERS else "")


def audit(at: Setting, section: AuditSection, questions: Iterable[Question]) -> None:
    """Append the votes that are missing on questions from captions.

    Raises:
        EngineError: the auditor cannot be used.
    """
    headers.check(at.recipe.models[name] for name in sorted(section.named))
    ordered = sorted(questions, key=lambda q: (q.image_id, q.question_id))
    for name in section.models:
        if section.reader:
            describer.audit(at, section, name, ordered)
            continue
        with Auditor(at, section, name) as auditor:
            auditor.ask_all(ordered, lambda question: votes(question, section))


def votes(question: Question, section: AuditSection) -> Iterator[Asked]:
    """What one auditor is asked about one question."""
    for vote in range(section.votes):
        yield Asked(question, section.arm, vote, order=vote % len(LETTERS))


class Auditor(Solver):
    """One of a section's models, `name` in the recipe; the run knows its votes by `AuditSection.asker`."""

    def __init__(self, at: Setting, section: AuditSection, name: str, engine: Engine | None = None) -> None:
        known, model = section.asker(name, at.recipe.models), at.recipe.models[name]
        super().__init__(at, known, model, section.sampling.record(), Purpose.AUDIT, engine)
        self.section = section

    def request(self, item: Asked) -> Request:
        """The request for the vote."""
        if self.section.mode == "answer":
            return super().request(item)
        turns, shown = (messages(item),), images(item, self.at.folders)
        return Request.make(
            self.model.model, turns, self.sampling, images=shown, rollout=item.rollout, schema=JSON_SCHEMA
        )

    def graded(self, item: Asked, response: Response) -> Answer:
        """The vote."""
        if self.section.mode == "answer":
            return super().graded(item, response)
        return answer_row(item, response, self.name, self.purpose, parse(response), prompts.digest("auditor"))


def messages(item: Asked) -> Message:
    """The turn that asks for a judgement."""
    question, image = item.question, item.arm is not Arm.CAPTION
    _, options, answer = rotated(question, item.order)
    lettered = dict(zip(LETTERS, options, strict=True))
    caption = "" if item.arm is Arm.IMAGE else question.caption
    text = prompts.auditor(question.text or question.problem, lettered, answer, caption, image=image)
    return Message("user", text, images=int(image))


def parse(response: Response) -> tuple[Outcome, str, str]:
    """Outcome (right: it agrees), the verdict's word, and why there is none or what the auditor saw."""
    if response.finish == "error":
        return Outcome.FAILED, "", response.error
    if response.unread:
        return Outcome.UNPARSED, "", response.unread
    try:
        reply = json_reply.read(response.text, _Reply)
    except ParseError as error:
        return Outcome.UNPARSED, "", str(error)
    return _OUTCOMES[reply.verdict], reply.verdict, reply.seen[:MAX_SEEN]
