"""The perception rule of the paper: every solver wrong from the image, and right from the caption.

A question passes on evidence alone. A reply that is unparsed, failed or missing is unknown, and unknown never counts as
wrong from the image nor as right from the caption.
"""

from collections.abc import Sequence

from capcurriculum.reasons import Reason
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict

FILTER = "perception"


def judge(question: Question, answers: Sequence[Answer], solvers: Sequence[str]) -> Verdict:
    """The verdict over the probe answers of all `solvers`."""
    reason, detail = _reason(answers, solvers)
    evidence = tuple(sorted(a.request_key for a in answers))
    return Verdict(question.question_id, question.stage, FILTER, reason is Reason.KEPT, reason, detail, evidence)


def _reason(answers: Sequence[Answer], solvers: Sequence[str]) -> tuple[Reason, str]:
    image = _outcomes(answers, solvers, Arm.IMAGE)
    caption = _outcomes(answers, solvers, Arm.CAPTION)
    if named := _solvers(image, {Outcome.RIGHT}):
        return Reason.IMAGE_RIGHT, named
    if named := _solvers(caption, {Outcome.WRONG}):
        return Reason.CAPTION_WRONG, named
    if named := _solvers(image, {Outcome.UNPARSED, Outcome.FAILED, None}):
        return Reason.IMAGE_UNKNOWN, named
    if named := _solvers(caption, {Outcome.UNPARSED, Outcome.FAILED, None}):
        return Reason.CAPTION_UNKNOWN, named
    return Reason.KEPT, ""


def _outcomes(answers: Sequence[Answer], solvers: Sequence[str], arm: Arm) -> dict[str, set[str | None]]:
    """Solver -> the outcomes of its replies on the arm; a solver that has none is unknown."""
    found = {s: {a.outcome for a in answers if a.solver == s and a.arm == arm} for s in solvers}
    return {solver: set(outcomes) or {None} for solver, outcomes in found.items()}


def _solvers(outcomes: dict[str, set[str | None]], wanted: set[Outcome | None]) -> str:
    return ", ".join(solver for solver, found in outcomes.items() if found & wanted)
