"""The perception rule of the paper: every solver wrong from the image, and right from the caption.

A question passes on evidence alone, in every order of the options that was asked. A reply that is unparsed, failed or
missing is unknown, and unknown never counts as wrong from the image nor as right from the caption.
"""

from collections.abc import Iterable, Sequence

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filters import PerceptionFilterSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel
from filters.verdict import verdict

FILTER = "perception"
Outcomes = dict[str, list[Outcome | None]]
_PAPER = PerceptionFilterSection()


def judge(
    question: Question, answers: Sequence[Answer], panel: Panel, section: PerceptionFilterSection = _PAPER
) -> Verdict:
    """The verdict over the probe answers of the panel; the section says how many solvers must follow the rule."""
    image = {s: panel.outcomes(answers, s, Arm.IMAGE) for s in panel.solvers}
    caption = {s: panel.outcomes(answers, s, Arm.CAPTION) for s in panel.solvers}
    reason, detail = _soft(image, caption, section) if section.mode == "soft" else _strict(image, caption, section)
    return verdict(question, FILTER, reason is Reason.KEPT, reason, detail, answers)


def _strict(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[Reason, str]:
    """Enough solvers are wrong from the image and right from the caption every time; else what speaks against it."""
    following = [s for s in image if set(image[s]) == {Outcome.WRONG} and set(caption[s]) == {Outcome.RIGHT}]
    against = [s for s in image if Outcome.RIGHT in image[s] or Outcome.WRONG in caption[s]]
    wanted = {"all": len(image), "majority": len(image) // 2 + 1}.get(section.mode) or section.at_least or len(image)
    if len(following) >= wanted:
        return Reason.KEPT, ""
    if len(image) - len(against) < wanted:
        named = _having(image, Outcome.RIGHT)
        return (Reason.IMAGE_RIGHT, named) if named else (Reason.CAPTION_WRONG, _having(caption, Outcome.WRONG))
    # Without the solvers that speak against it there would be enough, if only all their replies were known.
    named = _having({s: found for s, found in image.items() if s not in against}, None)
    return (Reason.IMAGE_UNKNOWN, named) if named else (Reason.CAPTION_UNKNOWN, _having(caption, None))


def _having(outcomes: Outcomes, wanted: Outcome | None) -> str:
    return ", ".join(solver for solver, found in outcomes.items() if wanted in found)


def _soft(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[Reason, str]:
    """Shares over all replies asked for; the unknown ones are set against the question, whatever they would have been.

    Reasons say `unknown` only where they decide.
    """
    assert section.image_at_most is not None
    assert section.caption_at_least is not None
    seen, seen_unknown, asked = _counts(image.values())
    read, read_unknown, asked_caption = _counts(caption.values())
    detail = f"image {seen} of {asked}, caption {read} of {asked_caption}"
    if seen / asked > section.image_at_most:
        return Reason.IMAGE_RIGHT, detail
    if (read + read_unknown) / asked_caption < section.caption_at_least:
        return Reason.CAPTION_WRONG, detail
    if (seen + seen_unknown) / asked > section.image_at_most:
        return Reason.IMAGE_UNKNOWN, f"{detail}, {seen_unknown} from the image unknown"
    if read / asked_caption < section.caption_at_least:
        return Reason.CAPTION_UNKNOWN, f"{detail}, {read_unknown} from the caption unknown"
    return Reason.KEPT, detail


def _counts(replies: Iterable[Sequence[Outcome | None]]) -> tuple[int, int, int]:
    """Right ones, unknown ones, all."""
    every = [outcome for found in replies for outcome in found]
    return every.count(Outcome.RIGHT), every.count(None), len(every)
