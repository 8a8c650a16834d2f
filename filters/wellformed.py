"""Keep what can be asked as it is written: one question, four different options, a key, and no hint but the image."""

import re
from collections.abc import Iterator

from capcurriculum.reasons import Reason
from capcurriculum.recipe_filters import WellformedSection
from capcurriculum.rows import LETTERS, Question, Verdict
from filters.verdict import verdict
from filters.words import folded, words

FILTER = "wellformed"

_ENDS_AS_QUESTION = re.compile(r"[?？]\s*[\"'”’)\]]*\s*\Z")
_SOURCE = r"(?:image |picture |photo )?(?:caption|description)"
_CAPTION_NAMED = re.compile(
    rf"\b(?:the|this|that|given|provided|above|following) {_SOURCE}\b(?! (?:on|in|under|below|of|at)\b)"
    rf"|\b(?:according to|based on|given|from|per) (?:the |this )?(?:{_SOURCE}|text|passage)\b"
    r"|\b(?:mentioned|described|stated) in the (?:text|passage|caption|description)\b"
    r"|\bas (?:described|mentioned|stated)\b|\b(?:is|are|was|were) (?:described|mentioned)\b"
)
_GIVEAWAY = re.compile(
    r"\b(?:all|none|neither|both|any|either) (?:of )?(?:the )?"
    r"(?:above|these|those|others?|options?|answers?|choices?)\b"
    r"|\A(?:both |either |neither )?\(?[a-d]\)?(?:,? (?:and|or|nor|&) \(?[a-d]\)?)+\.?\Z"
    r"|\b(?:cannot|can't|can not|could not|unable to) be (?:determined|known|seen|told)\b"
    r"|\b(?:not|never) (?:specified|mentioned|stated|described)\b|\bnot enough information\b"
    r"|\A(?:unknown|unclear|n/a)\.?\Z"
)


def judge(question: Question, section: WellformedSection) -> Verdict:
    """The verdict on the question's own text; the first problem found is its reason."""
    reason, detail = next(_problems(question, section), (Reason.KEPT, ""))
    return verdict(question, FILTER, reason is Reason.KEPT, reason, detail)


def _problems(question: Question, section: WellformedSection) -> Iterator[tuple[Reason, str]]:
    text, options = question.text or question.problem, question.options
    if options and len(options) != len(LETTERS):
        yield Reason.NOT_FOUR_OPTIONS, f"{len(options)} options"
    if not question.answer.strip() or (options and question.answer not in LETTERS[: len(options)]):
        yield Reason.KEY_MISSING, repr(question.answer)
    if len({words(option) for option in options}) < len(options) or any(not option.strip() for option in options):
        yield Reason.OPTIONS_ALIKE, " / ".join(options)
    if not _ENDS_AS_QUESTION.search(text):
        yield Reason.NO_QUESTION, text[-40:]
    if len(text) > section.max_question:
        yield Reason.TOO_LONG, f"the question has {len(text)} characters, more than {section.max_question}"
    if options and (longest := max(map(len, options))) > section.max_option:
        yield Reason.TOO_LONG, f"an option has {longest} characters, more than {section.max_option}"
    if named := _CAPTION_NAMED.search(" | ".join(map(folded, (text, *options)))):
        yield Reason.CAPTION_NAMED, named.group()
    yield from _giveaways(question, section)


def _giveaways(question: Question, section: WellformedSection) -> Iterator[tuple[Reason, str]]:
    for option in question.options:
        if _GIVEAWAY.search(folded(option)):
            yield Reason.GIVEAWAY, option
    if question.answer in LETTERS[: len(question.options)]:
        place = LETTERS.index(question.answer)
        own, others = len(question.options[place]), [len(o) for i, o in enumerate(question.options) if i != place]
        if others and (_stands_out(own, max(others), section) or _stands_out(min(others), own, section)):
            yield Reason.GIVEAWAY, f"the right option has {own} characters, the others {min(others)} to {max(others)}"


def _stands_out(long: int, short: int, section: WellformedSection) -> bool:
    return long - short > section.odd_characters and long > section.odd_ratio * short
