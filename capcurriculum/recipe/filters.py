"""The filters part of a recipe: an ordered list of sections, each a filter with its parameters.

To add a filter: its section into `AnyFilter`, and how it judges into `filters.registry`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from capcurriculum.recipe.auditor import AuditorSection
from capcurriculum.recipe.corpus_filters import ContaminationSection, DuplicatesSection
from capcurriculum.recipe.filter_section import FilterSection, Phase, Quorum, check_captioned
from capcurriculum.recipe.stages import ProbeSection, StageName
from capcurriculum.rows import Arm, Stage

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe

Share = Annotated[float, Field(ge=0, le=1)]


class ReadableSection(FilterSection):
    """The image file can be opened and decoded, its size is one a vision tower can use, and there is something on it.

    Sides and pixels are of the file, `max_aspect` is the longer side by the shorter. `min_contrast` is how many of the
    255 levels of red, green or blue the picture must span as it is shown, a few odd pixels left out; 0 asks for none.
    """

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["readable"] = "readable"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value, Stage.VISUAL.value)
    min_side: Annotated[int, Field(ge=28)] = 28
    max_pixels: PositiveInt = 100_000_000
    max_bytes: PositiveInt = 200_000_000
    max_aspect: Annotated[float, Field(ge=1)] = 20.0
    min_contrast: Annotated[int, Field(ge=0, le=255)] = 12


class WellformedSection(FilterSection):
    """The question can be asked as it is written.

    The right option gives itself away by its length if it differs from every other one by more than `odd_characters`
    characters and is more than `odd_ratio` times as long, or as short.
    """

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["wellformed"] = "wellformed"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    max_question: PositiveInt = 400
    max_option: PositiveInt = 120
    odd_characters: PositiveInt = 20
    odd_ratio: Annotated[float, Field(gt=1)] = 2.0


class NeedsPictureSection(FilterSection):
    """A text problem neither shows nor names a picture that its reader does not have.

    `code` says whether drawing code (`[asy]`, TikZ) is `enough` of a picture, or leaves it `missing`.
    """

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["needs_picture"] = "needs_picture"
    stages: tuple[StageName, ...] = (Stage.TEXT.value,)
    code: Literal["missing", "enough"] = "missing"


class AsksForProofSection(FilterSection):
    """A text problem asks for something that can be compared with an answer, and not for a proof alone."""

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["asks_for_proof"] = "asks_for_proof"
    stages: tuple[StageName, ...] = (Stage.TEXT.value,)


class LeakSection(FilterSection):
    """The question does not quote its answer.

    Of an answer that is not there as a whole, a run of words that the caption has too must be less than `share` of it.
    """

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["leak"] = "leak"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    share: Share = 0.6


class ProbeFilterSection(FilterSection):
    """A filter that reads the replies of the probe, which asks the questions that are made from captions."""

    phase: ClassVar[Phase] = Phase.PROBE

    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """Solvers and orders too: who must have replied, and how often."""
        asked = {
            stage: {"solvers": list(probe.solvers), "other_order": probe.other_order}
            for stage, probe in self._probes(recipe)
        }
        params = super().params(recipe) | {"asked": asked.pop(Stage.PERCEPTION, {})}
        return params | ({"asked_of_others": asked} if asked else {})

    def check(self, recipe: Recipe) -> None:
        """It judges questions that are probed, and the arms it reads must be asked."""
        check_captioned(self, recipe, "reads the probe, which asks questions made from captions")
        for stage, probe in self._probes(recipe):
            if missing := [arm for arm in self.arms_read if arm not in probe.arms]:
                raise ValueError(f"the filter {self.name} needs {' and '.join(missing)} in {stage}.probe.arms")
            self.check_probe(stage, probe)

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """Raise ValueError if a stage's probe does not give what the filter needs."""

    def _probes(self, recipe: Recipe) -> Iterator[tuple[str, ProbeSection]]:
        return ((stage, made.probe) for stage, made in recipe.captioned.items() if stage in self.stages)


class PerceptionFilterSection(ProbeFilterSection):
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
    def _mode_has_its_numbers(self) -> PerceptionFilterSection:
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


class BlindSection(ProbeFilterSection):
    """Objects where `solvers` are right without image and caption, in every option order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.BLIND,)

    name: Literal["blind"] = "blind"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"


class SwappedSection(ProbeFilterSection):
    """Objects where `solvers` choose with another image what they chose with the right one, in every order asked."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.SWAPPED)

    name: Literal["swapped"] = "swapped"
    solvers: Quorum = "all"
    action: Literal["drop", "label"] = "label"


class ConsistentSection(ProbeFilterSection):
    """Objects where `solvers` choose another option, on one of `arms`, when the options are rotated."""

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE, Arm.CAPTION)

    name: Literal["consistent"] = "consistent"
    arms: Annotated[tuple[Literal["image", "caption"], ...], Field(min_length=1)] = ("image", "caption")
    solvers: Quorum = "any"

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """There must be a second order."""
        if not probe.other_order:
            raise ValueError(f"the filter consistent needs {stage}.probe.other_order: true")


class AgreedOtherSection(ProbeFilterSection):
    """Objects where `solvers` agree from the image on one option that is not the marked one, in every order asked.

    Solvers that err do not often err alike; solvers that see what the label denies do. It asks nothing: the probe's
    replies are its evidence.
    """

    arms_read: ClassVar[tuple[Arm, ...]] = (Arm.IMAGE,)

    name: Literal["agreed_other"] = "agreed_other"
    solvers: Literal["all", "majority"] = "all"

    def check_probe(self, stage: str, probe: ProbeSection) -> None:
        """One solver, asked once, always agrees with itself."""
        if len(probe.solvers) * (1 + probe.other_order) < 2:
            raise ValueError(f"the filter agreed_other needs two solvers, or {stage}.probe.other_order: true")


class RolloutsSection(FilterSection):
    """A row has a pass rate: at least the share `rollouts.readable` of its replies could be read, and one of them.

    Nothing can be ordered without it.
    """

    phase: ClassVar[Phase] = Phase.ROLLOUT

    name: Literal["rollouts"] = "rollouts"
    action: Literal["drop"] = "drop"

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """The share too."""
        return super().params(recipe) | {"readable": recipe.rollouts.readable}


class DifficultySection(FilterSection):
    """The pass rate lies between `rollouts.above` and `rollouts.below`, the one place of the band.

    With `interval: inside` its 95 % interval must lie between them too.
    """

    phase: ClassVar[Phase] = Phase.ROLLOUT

    name: Literal["difficulty"] = "difficulty"
    interval: Literal["ignored", "inside"] = "ignored"
    action: Literal["drop"] = "drop"

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """The band too."""
        rollouts = recipe.rollouts
        return super().params(recipe) | {"above": rollouts.above, "below": rollouts.below, "k": rollouts.k}

    def check(self, recipe: Recipe) -> None:
        """Early stopping must not leave out replies that an interval would need."""
        rollouts = recipe.rollouts
        early = rollouts.stop == "decided" or rollouts.interval is not None
        if self.interval == "inside" and early:
            raise ValueError(
                "difficulty with interval: inside needs all replies of the rows it keeps; "
                "set rollouts.stop to never, or to dropped without rollouts.interval"
            )


AnyFilter = Annotated[
    ReadableSection
    | WellformedSection
    | NeedsPictureSection
    | AsksForProofSection
    | LeakSection
    | PerceptionFilterSection
    | BlindSection
    | SwappedSection
    | ConsistentSection
    | AgreedOtherSection
    | AuditorSection
    | RolloutsSection
    | DifficultySection
    | DuplicatesSection
    | ContaminationSection,
    Field(discriminator="name"),
    BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value),
]

#: What a recipe without a list has: rows that can be asked at all, the paper's rule, what ordering needs, the band.
DEFAULT: tuple[AnyFilter, ...] = (
    ReadableSection(),
    WellformedSection(),
    PerceptionFilterSection(),
    RolloutsSection(),
    DifficultySection(),
)


def check_filters(recipe: Recipe) -> None:
    """Check the list against the rest of the recipe.

    Raises:
        ValueError: a filter judges a stage twice, lacks what it needs, or is missing where something relies on it.
    """
    counts = Counter((section.name, stage) for section in recipe.filters for stage in section.stages)
    if twice := [f"{name} ({stage})" for (name, stage), count in counts.items() if count > 1]:
        raise ValueError(f"filters names {', '.join(twice)} more than once")
    for section in recipe.filters:
        section.check(recipe)
    bounded = recipe.rollouts.above is not None or recipe.rollouts.below is not None
    for stage in recipe.stages:
        if not counts["rollouts", stage]:
            raise ValueError(f"filters must list rollouts for {stage}: rows without a pass rate have no place in order")
        if bounded and not counts["difficulty", stage]:
            raise ValueError(f"rollouts has bounds, so filters must list difficulty for {stage}, which applies them")
