"""What every filter section of a recipe has: a name, the stages it judges, and what becomes of a row it objects to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from capcurriculum.recipe.base import Section
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import SCHEMA, Arm, Stage, digest

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe

#: How many must agree: every one, more than half, or at least one.
Quorum = Literal["all", "majority", "any"]


class Phase(IntEnum):
    """When the evidence of a filter is there; what an earlier phase drops costs no request of a later one."""

    QUESTION = 0  # the question itself, its caption, its image file, other questions
    PROBE = 1
    AUDIT = 2
    ROLLOUT = 3


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
    def _stages_named(self) -> FilterSection:
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

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """Everything in the recipe that a verdict of this filter depends on, beside the evidence."""
        del recipe
        return self.model_dump(mode="json", exclude={"name", "stages"})

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if the rest of the recipe does not give what the filter needs."""

    def reads(self, recipe: Recipe) -> Mapping[str, Collection[object]]:
        """Which of its phase's replies it reads: columns of `Answer` and the values they must have."""
        del recipe
        return {"arm": self.arms_read} if self.arms_read else {}

    def digest(self, recipe: Recipe) -> str:
        """The `params` of its verdicts; another one means that every question is judged anew."""
        own = (SCHEMA, "filter", self.name, self.params(recipe))
        if not self.compares:
            return digest(*own)
        before = (other for other in recipe.filters if other.phase <= self.phase and not other.compares)
        return digest(*own, [(other.digest(recipe), other.stages) for other in before])


def check_captioned(section: FilterSection, recipe: Recipe, why: str) -> None:
    """Refuse stages that are not made from captions.

    Raises:
        ValueError: the section names one.
    """
    if other := [stage for stage in section.stages if recipe.kind(stage) is not Stage.PERCEPTION]:
        raise ValueError(f"{section.name} {why}, and those of {other[0]} are not; leave stages out")
