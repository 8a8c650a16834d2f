"""Drop malformed questions: no question or key, options that are missing or alike, or hints at the answer."""

import re
from collections.abc import Iterator
from string import ascii_uppercase
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import LETTERS, Question, Stage, Verdict
from datagen.teacher.mcq import asks
from filters.base import TextRule
from filters.words import folded, option_words

_SOURCE = r"(?:image |picture |photo )?(?:caption|description)"
#: Text in the image: "the caption on the poster", "the text printed above the door".
_SEEN = (
    r"(?! (?:(?:that|which) is )?(?:(?:written|printed|painted|shown|displayed|visible|seen|engraved|carved)\b"
    r"|(?:on|in|under|below|above|over|of|at|beside|near|next to|across|along|by)\b))"
)
_CAPTION_NAMED = re.compile(
    rf"\b(?:the|this|that|given|provided|above|following) {_SOURCE}\b{_SEEN}"
    rf"|\b(?:according to|based on|given|from|per) (?:the |this )?(?:{_SOURCE}|text|passage)\b{_SEEN}"
    rf"|\b(?:mentioned|described|stated) in the (?:text|passage|caption|description)\b{_SEEN}"
    rf"|\bas (?:described|mentioned|stated)\b{_SEEN}|\b(?:is|are|was|were) (?:described|mentioned)\b{_SEEN}"
)
#: "None of these" at the end, or "all of them are right", but not "all of these dogs".
_GIVEAWAY = re.compile(
    r"\b(?:all|none|neither|both|any|either) (?:of )?(?:the )?(?:above\b"
    r"|(?:these|those|them|others?|(?:other |given )?(?:options?|answers?|choices?))"
    r"(?=\W*\Z| (?:is|are|apply|applies)\b))"
    r"|\A(?:both |either |neither )?\(?[a-d]\)?(?:,? (?:and|or|nor|&) \(?[a-d]\)?)+\.?\Z"
    r"|\b(?:cannot|can't|can not|could not|unable to) be (?:determined|known|seen|told)\b"
    r"|\b(?:not|never) (?:specified|mentioned|stated|described)\b|\bnot enough information\b"
    r"|\A(?:unknown|unclear|n/a)\.?\Z"
)


class WellformedSection(TextRule):
    """The question is complete and gives no hint at its answer.

    The length of the right option is a hint if it differs from all others by more than `odd_characters` characters and
    by a factor of more than `odd_ratio`.
    """

    name: Literal["wellformed"] = "wellformed"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    max_question: PositiveInt = 400
    max_option: PositiveInt = 120
    odd_characters: PositiveInt = 20
    odd_ratio: Annotated[float, Field(gt=1)] = 2.0

    def judge(self, question: Question) -> Verdict:
        """The verdict on the question's text, with the first problem as its reason."""
        reason, detail = next(_problems(question, self), (Reason.KEPT, ""))
        return self.verdict(question, reason is Reason.KEPT, reason, detail)


def _problems(question: Question, section: WellformedSection) -> Iterator[tuple[Reason, str]]:
    text, options = question.text or question.problem, question.options
    letters = ascii_uppercase[: len(options)]
    if options and question.caption_id and len(options) != len(LETTERS):
        # Generated questions have four; problems of other sources may have any number.
        yield Reason.NOT_FOUR_OPTIONS, f"{len(options)} options"
    if not question.answer.strip() or (options and question.answer not in tuple(letters)):
        yield Reason.KEY_MISSING, repr(question.answer)
    if len({option_words(option) for option in options}) < len(options) or any(not o.strip() for o in options):
        yield Reason.OPTIONS_ALIKE, " / ".join(options)
    if not asks(text):
        yield Reason.NO_QUESTION, text[-40:]
    if len(text) > section.max_question:
        yield Reason.TOO_LONG, f"the question has {len(text)} characters, more than {section.max_question}"
    if options and (longest := max(map(len, options))) > section.max_option:
        yield Reason.TOO_LONG, f"an option has {longest} characters, more than {section.max_option}"
    if named := _CAPTION_NAMED.search(" | ".join(map(folded, (text, *options)))):
        yield Reason.CAPTION_NAMED, named.group()
    yield from _giveaways(question, section)


def _giveaways(question: Question, section: WellformedSection) -> Iterator[tuple[Reason, str]]:
    options = question.options
    telling = [option for option in options if _GIVEAWAY.search(folded(option))]
    # If all options are such ("A and B", "A and C" of a drawing's points), none stands out.
    if telling and len(telling) < len(options):
        yield Reason.GIVEAWAY, telling[0]
    if question.answer in tuple(ascii_uppercase[: len(options)]):
        place = ascii_uppercase.index(question.answer)
        right, others = len(options[place]), [len(o) for i, o in enumerate(options) if i != place]
        if others and (_stands_out(right, max(others), section) or _stands_out(min(others), right, section)):
            yield Reason.GIVEAWAY, f"the right option has {right} characters, the others {min(others)} to {max(others)}"


def _stands_out(long: int, short: int, section: WellformedSection) -> bool:
    return long - short > section.odd_characters and long > section.odd_ratio * short
