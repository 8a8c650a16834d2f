"""Adjudicate the reviews of one question into a verdict: a pure function of the reviews and the recipe's rule.

A review claims a right answer (the marked one, another one, or none), or only that the marked one is wrong. Claims are
weighted votes; a reviewer who cannot tell does not vote.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capcurriculum import answers
from capcurriculum.grading.notation.spelling import clean
from capcurriculum.reasons import Reason
from capcurriculum.recipe.review import HUMAN, ReviewSection
from capcurriculum.rows import Outcome, Question, Review, Verdict
from datagen.auditor import Opinion
from filters.human.form import NONE, Right, letters

#: The claim that the marked answer is wrong, without another one.
_WRONG = ""
#: Maximum words of a free answer, unless the marked one has more.
_MOST_WORDS = 3
_OPINIONS = {
    Reason.KEPT: Opinion.AGREE,
    Reason.KEY_CORRECTED: Opinion.DISAGREE,
    Reason.KEY_WRONG: Opinion.DISAGREE,
    Reason.NO_OPTION_RIGHT: Opinion.DISAGREE,
    Reason.ANOTHER_LOOK: Opinion.UNSURE,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The reviewers' opinion of the marked answer and the resulting verdict."""

    opinion: Opinion
    verdict: Verdict


def adjudicate(question: Question, reviews: Sequence[Review], section: ReviewSection) -> Decision:
    """The decision on at least one review, with at most one of each person."""
    claims = [(section.weights.get(r.annotator, 1.0), claim(r, question)) for r in reviews]
    stated = [(weight, answer) for weight, answer in claims if answer is not None]
    reason, detail = _decided(stated, question, section)
    if reason is Reason.ANOTHER_LOOK:
        detail = f"{len(stated)} of {len(reviews)} could tell{', and do not agree' if len(stated) > 1 else ''}"
    opinion, keep = _OPINIONS[reason], reason in (Reason.KEPT, Reason.KEY_CORRECTED)
    if reason is Reason.ANOTHER_LOOK:
        keep = section.unsure == "keep"
    rated = [r.quality for r in reviews if r.quality]
    if keep and section.least_quality is not None and rated and sum(rated) / len(rated) < section.least_quality:
        reason, keep, detail = Reason.LOW_QUALITY, False, f"{sum(rated) / len(rated):.1f} of 5 from {len(rated)}"
    evidence = tuple(sorted(r.review_id for r in reviews))
    verdict = Verdict(question.question_id, question.stage, HUMAN, keep, reason, detail, evidence, section.digest())
    return Decision(opinion, verdict)


def claim(review: Review, question: Question) -> str | None:
    """The answer that a review claims to be right: `NONE`, "" if it names no other one, None if it cannot tell."""
    if review.right == Right.YES:
        return question.answer
    if review.right != Right.NO:
        return None
    choice = review.choice.strip()
    if choice == NONE:
        return NONE
    if question.options:
        return choice if choice in letters(question) and choice != question.answer else _WRONG
    return choice if _can_be_key(choice, question) else _WRONG


def _can_be_key(choice: str, question: Question) -> bool:
    """Whether a free answer can replace the key: it is short, differs from the key, and the grader can check it."""
    key, kind = question.answer, question.kind or None
    if not choice or len(choice.split()) > max(_MOST_WORDS, len(key.split())):
        return False
    itself, other = (answers.grade(f"\\boxed{{{choice}}}", gold, kind=kind).outcome for gold in (choice, key))
    return itself is Outcome.RIGHT and other is Outcome.WRONG


def _decided(stated: Sequence[tuple[float, str]], question: Question, section: ReviewSection) -> tuple[Reason, str]:
    if len(stated) < section.least:
        return Reason.ANOTHER_LOOK, ""
    total = sum(weight for weight, _ in stated)
    weights = _by_claim(stated, free=not question.options)

    def carries(weight: float) -> bool:
        return weight == total if section.rule == "unanimous" else weight > section.agree * total

    for answer, weight in weights.items():
        if carries(weight):
            if answer == question.answer:
                return Reason.KEPT, ""
            if answer in (NONE, _WRONG):
                return (Reason.NO_OPTION_RIGHT if answer else Reason.KEY_WRONG), ""
            return Reason.KEY_CORRECTED, answer
    if carries(total - weights.get(question.answer, 0.0)):
        return Reason.KEY_WRONG, ", ".join(sorted(other or "another" for other in weights if other != question.answer))
    return Reason.ANOTHER_LOOK, ""


def _by_claim(stated: Sequence[tuple[float, str]], free: bool) -> Mapping[str, float]:
    """Claim -> its weight; free answers of the same normalized notation count as the first of them."""
    names: dict[str, str] = {}
    weights: defaultdict[str, float] = defaultdict(float)
    for weight, answer in stated:
        name = names.setdefault(clean(answer) or answer, answer) if free and answer not in (NONE, _WRONG) else answer
        weights[name] += weight
    return weights
