"""A verdict as filters make it: about one question, naming the replies it rests on."""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Question, Verdict


def verdict(
    question: Question, name: str, keep: bool, reason: Reason, detail: str = "", answers: Sequence[Answer] = ()
) -> Verdict:
    """The verdict of filter `name`; evidence is sorted, so that the order of the replies leaves no trace."""
    evidence = tuple(sorted(a.request_key for a in answers))
    return Verdict(question.question_id, question.stage, name, keep, reason, detail, evidence)
