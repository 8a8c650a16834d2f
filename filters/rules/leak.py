"""Keep what does not quote its answer: its words must not stand in the question, as they are or as the caption says.

A question that quotes a wrong option as well ("the cat or the dog?") gives nothing away.
"""

import re

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import LeakSection
from capcurriculum.rows import LETTERS, Question, Verdict
from filters.verdict import verdict
from filters.words import content, holds, shared

FILTER = "leak"
#: "How large is it?" asks for a size and does not say that it is large.
_HOW = re.compile(r"\bhow \w+", re.IGNORECASE)


def judge(question: Question, section: LeakSection) -> Verdict:
    """The verdict on the question, its right option and its caption; without options nothing is looked for."""
    quoted = _quoted(question, section)
    reason = Reason.ANSWER_QUOTED if quoted else Reason.KEPT
    return verdict(question, FILTER, not quoted, reason, quoted)


def _quoted(question: Question, section: LeakSection) -> str:
    """The words of the answer that the question quotes, or nothing."""
    if question.answer not in LETTERS[: len(question.options)]:
        return ""
    text = question.text or question.problem.split("\n", 1)[0]
    place, asked = LETTERS.index(question.answer), content(_HOW.sub("how", text))
    options = [content(option) for option in question.options]
    if any(holds(asked, option) for number, option in enumerate(options) if number != place):
        return ""
    quoted = shared(options[place], asked)
    whole = quoted == options[place]
    # One word of several is what a question has to name to be about anything.
    most = len(quoted) > 1 and len(quoted) >= section.share * len(options[place])
    return " ".join(quoted) if whole or (most and holds(content(question.caption), quoted)) else ""
