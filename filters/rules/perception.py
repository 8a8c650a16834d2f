"""The paper's perception rule: every solver is wrong from the image and right from the caption.

An unparsed, failed or missing reply is unknown, which counts neither as wrong from the image nor as right from the
caption.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import ProbeKey
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from filters.rules.panel import Panel, ProbeRule, needed, still_open

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
        """The verdict on the panel's replies; `mode` says how many solvers must follow the rule."""
        image, caption = _outcomes(answers, panel)
        reason, detail = _soft(image, caption, self) if self.mode == "soft" else _strict(image, caption, self)
        return self.verdict(question, reason is Reason.KEPT, reason, detail, answers)

    def open_replies(self, answers: Sequence[Answer], panel: Panel) -> list[ProbeKey]:
        """Those of the solvers that can still follow the rule or break it, where that decides; `soft`: of the arms."""
        image, caption = _outcomes(answers, panel)
        if self.mode != "soft":
            return panel.unasked(answers, still_open(_states(image, caption), self.wanted(image)), self.arms_read)
        reason, _ = _soft(image, caption, self)
        if reason in (Reason.IMAGE_RIGHT, Reason.CAPTION_WRONG):
            return []
        open_arms = [
            arm for arm, is_open in zip(self.arms_read, _soft_open(image, caption, self), strict=True) if is_open
        ]
        return panel.unasked(answers, panel.solvers, open_arms)

    def wanted(self, solvers: Collection[str]) -> int:
        """How many of the solvers must follow the rule."""
        if self.at_least:
            return self.at_least
        return needed("majority" if self.mode == "majority" else "all", len(solvers))


def _outcomes(answers: Sequence[Answer], panel: Panel) -> tuple[Outcomes, Outcomes]:
    """Solver -> its outcomes from the image, and from the caption."""
    image, caption = ({s: panel.outcomes(answers, s, arm) for s in panel.solvers} for arm in (Arm.IMAGE, Arm.CAPTION))
    return image, caption


def _states(image: Outcomes, caption: Outcomes) -> dict[str, bool | None]:
    """Solver -> whether it follows the rule every time; None where what is known of its replies does not tell."""

    def follows(solver: str) -> bool | None:
        if Outcome.RIGHT in image[solver] or Outcome.WRONG in caption[solver]:
            return False
        return None if None in image[solver] or None in caption[solver] else True

    return {solver: follows(solver) for solver in image}


def _strict(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[Reason, str]:
    """Whether enough solvers are wrong from the image and right from the caption in all replies."""
    states, wanted = _states(image, caption), section.wanted(image)
    if sum(state is True for state in states.values()) >= wanted:
        return Reason.KEPT, ""
    if sum(state is not False for state in states.values()) < wanted:
        named = _having(image, Outcome.RIGHT)
        return (Reason.IMAGE_RIGHT, named) if named else (Reason.CAPTION_WRONG, _having(caption, Outcome.WRONG))
    # The solvers that are not against it are enough, but some of their replies are unknown.
    named = _having({s: found for s, found in image.items() if states[s] is not False}, None)
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


def _soft_open(image: Outcomes, caption: Outcomes, section: PerceptionFilterSection) -> tuple[bool, bool]:
    """Whether unknown replies from the image, and from the caption, can still change on which side its share falls."""
    assert section.image_at_most is not None
    assert section.caption_at_least is not None
    seen, seen_unknown, asked = _counts(image.values())
    read, _, asked_caption = _counts(caption.values())
    return (seen + seen_unknown) / asked > section.image_at_most, read / asked_caption < section.caption_at_least


def _counts(replies: Iterable[Sequence[Outcome | None]]) -> tuple[int, int, int]:
    """Numbers of right, unknown and all replies."""
    every = [outcome for found in replies for outcome in found]
    return every.count(Outcome.RIGHT), every.count(None), len(every)
