"""The judge's prompt about a wrong reply, and the parser of its reply: one JSON object.

What is seen comes before the verdict in the object, and the order of the kinds differs between votes. Any other reply
is an unreadable vote.
"""

import json
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from capcurriculum import prompts
from capcurriculum.errors import ParseError
from capcurriculum.grading import json_reply
from capcurriculum.rows import SCHEMA, Message, Request, Response, Sampling, digest
from datagen import image_decoding
from evaluation.errors.cases import Case
from evaluation.errors.kinds import KINDS, meanings

PROMPT = "error_judge"
#: The most characters of a recorded sentence, and of a reply in the prompt.
MOST, MOST_REPLY = 400, 16_000


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    seen: str
    mistake: str
    kind: Annotated[str, Field(max_length=40)]


def schema(image: bool) -> str:
    """The JSON schema for structured output."""
    text = {"type": "string", "maxLength": MOST}
    properties = {"seen": text, "mistake": text, "kind": {"enum": list(meanings(image))}}
    whole = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return json.dumps(whole, separators=(",", ":"))


def version() -> str:
    """A digest of the prompt, the kinds and the schema, any of which changes the votes."""
    return digest(SCHEMA, "error protocol", prompts.digest(PROMPT), {k: v[1] for k, v in KINDS.items()}, schema(True))


def request(case: Case, vote: int, model: str, sampling: Sampling, folder: Path) -> Request:
    """The request for vote number `vote`; images lie below `folder`.

    Raises:
        ImageProblem: an image is missing, or its path leads out of the folder.
    """
    sample = case.sample
    shown = tuple((Path(name).stem, str(image_decoding.inside(folder, name))) for name in sample.images)
    kinds = meanings(bool(shown), vote)
    options = dict(zip(ascii_uppercase, sample.options, strict=False))
    text = prompts.error_judge(
        sample.question, options, sample.gold, sample.answer, shortened(sample.prediction), kinds, images=len(shown)
    )
    turns = (Message("user", text, images=len(shown)),)
    return Request.make(model, turns, sampling, images=shown, rollout=vote, schema=schema(bool(shown)))


def shortened(reply: str) -> str:
    """A reply, without its middle if it is longer than `MOST_REPLY`."""
    if len(reply) <= MOST_REPLY:
        return reply
    half = MOST_REPLY // 2
    return f"{reply[:half]}\n[... {len(reply) - 2 * half:,} characters left out ...]\n{reply[-half:]}"


def parse(response: Response, image: bool) -> tuple[str, str, str, str]:
    """Kind ("" for an unreadable vote), what was seen, the mistake, and why the vote is unreadable."""
    if response.unread:
        return "", "", "", response.unread
    try:
        reply = json_reply.read(response.text, _Reply)
    except ParseError as error:
        return "", "", "", str(error)
    kind = reply.kind.strip().lower()
    if kind not in meanings(image):
        return "", "", "", f"{kind!r} is none of the kinds asked for"
    return kind, reply.seen[:MOST], reply.mistake[:MOST], ""
