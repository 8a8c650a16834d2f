"""The paper's perception rule: every solver is wrong from the image and right from the caption.

An unparsed, failed or missing reply is unknown, which counts neither as wrong from the image nor as right from the
caption.
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

    `mode` sets how many solvers must be: `all` (the paper), the `majority`, or `at_least` a number. With `soft`, over
    the replies of all solvers, at most the share `image_at_most` of those from the image is right, and at least
    `caption_at_least` of those from the caption.
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
        """Raise ValueError if the probe has fewer solvers than `at_least`."""
        if self.at_least and self.at_least > len(probe.solvers):
            raise ValueError(f"at_least is {self.at_least}, and {stage}.probe has fewer solvers")

    def judge(self, question: Question, answers: Sequence[Answer], panel: Panel) -> Verdict:
        """The verdict on the panel's replies."""
        image = {s: panel.outcomes(answers, s, Arm.IMAGE) for s in panel.solvers}
        caption = {s: panel.outcomes(answers, s, Arm.CAPTION) for s in panel.solvers}
        reason, detail = _soft(image, caption, self) if self.mode == "soft" else _strict(image, caption, self)
        return self.verdict(question, reason is Reason.KEPT, reason, detail, answers)


def _strict(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[Reason, str]:
    """Whether enough solvers are wrong from the image and right from the caption in all replies."""
    following = [s for s in image if set(image[s]) == {Outcome.WRONG} and set(caption[s]) == {Outcome.RIGHT}]
    against = [s for s in image if Outcome.RIGHT in image[s] or Outcome.WRONG in caption[s]]
    wanted = {"all": len(image), "majority": len(image) // 2 + 1}.get(section.mode) or section.at_least or len(image)
    if len(following) >= wanted:
        return Reason.KEPT, ""
    if len(image) - len(against) < wanted:
        named = _having(image, Outcome.RIGHT)
        return (Reason.IMAGE_RIGHT, named) if named else (Reason.CAPTION_WRONG, _having(caption, Outcome.WRONG))
    # The solvers that are not against it are enough, but some of their replies are unknown.
    named = _having({s: found for s, found in image.items() if s not in against}, None)
    return (Reason.IMAGE_UNKNOWN, named) if named else (Reason.CAPTION_UNKNOWN, _having(caption, None))


def _having(outcomes: Outcomes, wanted: Outcome | None) -> str:
    return ", ".join(solver for solver, found in outcomes.items() if wanted in found)


def _soft(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[Reason, str]:
    """Shares over all requested replies, with unknown ones counted against the question; `unknown` if these decide."""
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
    """Numbers of right, unknown and all replies."""
    every = [outcome for found in replies for outcome in found]
    return every.count(Outcome.RIGHT), every.count(None), len(every)
