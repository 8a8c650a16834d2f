"""The perception rule of the paper: every solver wrong from the image, and right from the caption.

A question passes on evidence alone, in every order of the options that was asked. A reply that is unparsed, failed or
missing is unknown, and unknown never counts as wrong from the image nor as right from the caption.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, ProbeRule

Outcomes = dict[str, list[Outcome | None]]
Share = Annotated[float, Field(ge=0, le=1)]


class PerceptionFilterSection(ProbeRule):
    """Wrong from the image and right from the caption, in every option order asked.

    `mode` says who must be so: `all` solvers (the paper), the `majority`, or `at_least` so many; or `soft`: over the
    replies of all solvers, at most `image_at_most` of those from the image right, and at least `caption_at_least` of
    those from the caption.
    """

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.CAPTION)

    name: Literal["perception"] = "perception"
    mode: Literal["all", "majority", "at_least", "soft"] = "all"
    at_least: PositiveInt | None = None
    caption_at_least: Share | None = None
    image_at_most: Share | None = None

    @model_validator(mode="after")
    def _mode_has_its_numbers(self) -> "PerceptionFilterSection":
        if (self.mode == "at_least") != (self.at_least is not None):
            raise ValueError("at_least goes with mode: at_least, and that mode needs it")
        shares = (self.caption_at_least is None, self.image_at_most is None)
        if shares != ((False, False) if self.mode == "soft" else (True, True)):
            raise ValueError("caption_at_least and image_at_most go with mode: soft, and that mode needs both")
        return self

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """There must be so many solvers."""
        if self.at_least and self.at_least > len(probe.solvers):
            raise ValueError(f"at_least is {self.at_least}, and {stage}.probe has fewer solvers")

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict over the probe answers of the panel; `mode` says how many solvers must follow the rule."""
        image = {s: panel.outcomes(answers, s, Arm.IMAGE) for s in panel.solvers}
        caption = {s: panel.outcomes(answers, s, Arm.CAPTION) for s in panel.solvers}
        reason, detail = _soft(image, caption, self) if self.mode == "soft" else _strict(image, caption, self)
        return self.verdict(question, reason is Reason.KEPT, reason, detail, answers)


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
