"""What a judge is asked about a wrong reply, and what is read in its own: one JSON object, checked whatever was asked.

Looking comes before judging in the object. The kinds stand in another order in every vote. What is no such object is
no vote: it never counts as a kind.
"""

import json
from pathlib import Path
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
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Characters of a sentence that is kept, and of a reply that is shown.
MOST, MOST_REPLY = 400, 16_000


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    seen: str
    mistake: str
    kind: Annotated[str, Field(max_length=40)]


def schema(image: bool) -> str:
    """The JSON schema that an engine is asked to keep to."""
    text = {"type": "string", "maxLength": MOST}
    properties = {"seen": text, "mistake": text, "kind": {"enum": list(meanings(image))}}
    whole = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return json.dumps(whole, separators=(",", ":"))


def version() -> str:
    """A digest of all that this protocol tells a judge: another one makes other votes."""
    return digest(SCHEMA, "error protocol", prompts.digest(PROMPT), {k: v[1] for k, v in KINDS.items()}, schema(True))


def request(case: Case, vote: int, model: str, sampling: Sampling, folder: Path) -> Request:
    """What a judge is asked for its `vote`-th vote; pictures lie below `folder`.

    Raises:
        ImageProblem: a picture is missing, or leads out of the folder.
    """
    own = case.sample
    shown = tuple((Path(name).stem, str(image_decoding.inside(folder, name))) for name in own.images)
    kinds = meanings(bool(shown), vote)
    options = dict(zip(LETTERS, own.options, strict=False))
    text = prompts.error_judge(
        own.question, options, own.gold, own.answer, shortened(own.prediction), kinds, images=len(shown)
    )
    turns = (Message("user", text, images=len(shown)),)
    return Request.make(model, turns, sampling, images=shown, rollout=vote, schema=schema(bool(shown)))


def shortened(reply: str) -> str:
    """A reply without its middle where it is very long: what was seen stands first, what was concluded last."""
    if len(reply) <= MOST_REPLY:
        return reply
    half = MOST_REPLY // 2
    return f"{reply[:half]}\n[... {len(reply) - 2 * half:,} characters left out ...]\n{reply[-half:]}"


def parse(response: Response, image: bool) -> tuple[str, str, str, str]:
    """The kind ("" for no vote), what was seen, what the mistake is, and why there is no vote."""
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
