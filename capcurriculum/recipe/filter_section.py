"""What every filter section of a recipe has: a name, the stages it judges, and what becomes of a row it objects to."""

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import model_validator

from capcurriculum.recipe.base import Section
from capcurriculum.recipe.models import ModelSection
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.recipe.sources import StageSources
from capcurriculum.recipe.stages import PerceptionSection, StageName
from capcurriculum.rows import SCHEMA, Answer, Arm, Question, Stage, digest

#: Names a reply of the probe to a question: solver, arm, and how far the options were rotated.
ProbeKey = tuple[str, str, int]


class Phase(IntEnum):
    """When the evidence of a filter is there; what an earlier phase drops costs no request of a later one."""

    QUESTION = 0  # the question itself, its caption, its image file, other questions
    PROBE = 1
    AUDIT = 2
    ROLLOUT = 3


class RecipeView(Protocol):
    """What filters ask of the recipe that they are part of; `Recipe` says what each means."""

    @property
    def models(self) -> Mapping[str, ModelSection]:
        """Models by name."""

    @property
    def rollouts(self) -> RolloutSection:
        """How pass rates are measured and bounded."""

    @property
    def filters(self) -> tuple["FilterSection", ...]:
        """All filters, in the recipe's order."""

    @property
    def stages(self) -> Mapping[str, StageSources]:
        """Stages by name."""

    @property
    def captioned(self) -> Mapping[str, PerceptionSection]:
        """Those of them whose questions are made from captions."""

    def kind(self, stage: str) -> Stage:
        """The built-in stage that a stage is made in the way of."""


class FilterSection(Section):
    """One filter of a recipe's list.

    With `action: label` a row that the filter objects to is kept, and the reason stays with it.
    """

    phase: ClassVar[Phase]
    #: Arms of the phase's replies that the filter reads; none named means all of them.
    arms_read: ClassVar[tuple[Arm, ...]] = ()
    #: Whether a verdict depends on other questions too, and so on what other filters leave of them.
    compares: ClassVar[bool] = False

    name: str
    stages: tuple[StageName, ...] = tuple(map(str, Stage))
    action: Literal["drop", "label"] = "drop"

    @model_validator(mode="after")
    def _stages_named(self) -> Self:
        if not self.stages or len(set(self.stages)) < len(self.stages):
            raise ValueError("stages must name at least one stage, and each of them once")
        return self

    def over(self, capabilities: Mapping[str, Stage]) -> Self:
        """The filter as it is in a recipe with these further capabilities, each with its kind.

        One whose recipe names no stages judges the capabilities that are made like a stage it judges.
        """
        usual = type(self).model_fields["stages"].default
        further = tuple(name for name, kind in capabilities.items() if kind in usual)
        if "stages" in self.model_fields_set or not further:
            return self
        return self.model_copy(update={"stages": (*usual, *further)})

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """Everything in the recipe that a verdict of this filter depends on, beside the evidence."""
        del recipe
        return self.model_dump(mode="json", exclude={"name", "stages"})

    def check(self, recipe: RecipeView) -> None:
        """Raise ValueError if the rest of the recipe does not give what the filter needs."""

    def reads(self, recipe: RecipeView) -> Mapping[str, Collection[object]]:
        """Which of its phase's replies it reads: columns of `Answer` and the values they must have."""
        del recipe
        return {"arm": self.arms_read} if self.arms_read else {}

    def outlook(
        self, recipe: RecipeView, question: Question, answers: Sequence[Answer]
    ) -> tuple[bool, Collection[ProbeKey]]:
        """What a filter of the probe can say before all replies are there.

        Returns:
            Whether it keeps the question if nothing more is asked, and the replies not asked for yet that could change
            that; none once it is decided.
        """
        del recipe, question, answers
        return True, ()

    def digest(self, recipe: RecipeView) -> str:
        """The `params` of its verdicts; another one means that every question is judged anew."""
        own = (SCHEMA, "filter", self.name, self.params(recipe))
        if not self.compares:
            return digest(*own)
        before = (other for other in recipe.filters if other.phase <= self.phase and not other.compares)
        return digest(*own, [(other.digest(recipe), other.stages) for other in before])


def check_captioned(section: FilterSection, recipe: RecipeView, why: str) -> None:
    """Refuse stages that are not made from captions.

    Raises:
        ValueError: the section names one.
    """
    if other := [stage for stage in section.stages if recipe.kind(stage) is not Stage.PERCEPTION]:
        raise ValueError(f"{section.name} {why}, and those of {other[0]} are not; leave stages out")
