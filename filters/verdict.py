"""A verdict as filters make it: about one question, naming the replies it rests on."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Question, Verdict

#: Characters of a text that a detail quotes.
_QUOTED = 80


def verdict(
    question: Question, name: str, keep: bool, reason: Reason, detail: str = "", answers: Sequence[Answer] = ()
) -> Verdict:
    """The verdict of filter `name`; evidence is sorted, so that the order of the replies leaves no trace."""
    evidence = tuple(sorted(a.request_key for a in answers))
    return Verdict(question.question_id, question.stage, name, keep, reason, detail, evidence)


def quoted(words: str) -> str:
    """Words of a problem for a detail: in quotes, and cut where they are long."""
    return repr(words if len(words) <= _QUOTED else words[: _QUOTED - 3] + "...")
