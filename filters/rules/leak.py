"""Drop questions that quote their answer, whole or in a phrase that the caption has too.

A question that quotes a wrong option as well ("the cat or the dog?") is kept.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import LETTERS, Question, Stage, Verdict
from filters.base import TextRule
from filters.words import content, holds, shared

#: "How large is it?" does not say that it is large.
_HOW = re.compile(r"\bhow \w+", re.IGNORECASE)


class LeakSection(TextRule):
    """The question does not quote its answer.

    It neither holds the whole answer, nor a run of words of the caption that is at least `share` of the answer.
    """

    name: Literal["leak"] = "leak"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    share: Annotated[float, Field(ge=0, le=1)] = 0.6

    def judge(self, question: Question) -> Verdict:
        """The verdict on the question, its right option and its caption; a question without options is kept."""
        quoted = _quoted(question, self)
        reason = Reason.ANSWER_QUOTED if quoted else Reason.KEPT
        return self.verdict(question, not quoted, reason, quoted)


def _quoted(question: Question, section: LeakSection) -> str:
    """The words of the answer that the question quotes, "" for none."""
    if question.answer not in LETTERS[: len(question.options)]:
        return ""
    text = question.text or question.problem.split("\n", 1)[0]
    place, asked = LETTERS.index(question.answer), content(_HOW.sub("how", text))
    options = [content(option) for option in question.options]
    if any(holds(asked, option) for number, option in enumerate(options) if number != place):
        return ""
    quoted = shared(options[place], asked)
    whole = quoted == options[place]
    # A single word of several may be the question's subject.
    most = len(quoted) > 1 and len(quoted) >= section.share * len(options[place])
    return " ".join(quoted) if whole or (most and holds(content(question.caption), quoted)) else ""
