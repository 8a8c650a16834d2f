"""The auditor part of a recipe: an independent model that checks the marked answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from capcurriculum.filter_section import FilterSection, Phase, Quorum
from capcurriculum.recipe_models import MODEL_NO_EFFECT, ModelSection
from capcurriculum.recipe_sampling import SamplingSection
from capcurriculum.rows import LETTERS, SCHEMA, Arm, Stage, digest

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe

ARMS: Mapping[str, Arm] = {"image_and_caption": Arm.BOTH, "image": Arm.IMAGE, "caption": Arm.CAPTION}


class AuditSection(BaseModel):
    """How an auditor is asked about a question; see `AuditorSection` for what becomes of its votes.

    `mode` says what it is asked: to `judge` whether the marked answer is right, and the only right one, or to `answer`
    the question itself as any solver, its choice then being compared with the key. It `sees` the image, the caption, or
    both. Vote v is asked with the options rotated by v, so that no preference for a letter decides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    mode: Literal["judge", "answer"] = "judge"
    sees: Literal["image_and_caption", "image", "caption"] = "image_and_caption"
    votes: Annotated[int, Field(ge=1, le=64)] = 3
    sampling: SamplingSection = SamplingSection()

    @model_validator(mode="after")
    def _votes_differ(self) -> AuditSection:
        if self.votes > len(LETTERS) and not self.sampling.temperature:
            raise ValueError(
                f"more than {len(LETTERS)} votes need a sampling.temperature above 0: the options have no more "
                "rotations, so the others would be copies"
            )
        return self

    @property
    def arm(self) -> Arm:
        """What the auditor is shown beside the question."""
        return ARMS[self.sees]

    def asker(self, models: Mapping[str, ModelSection]) -> str:
        """Whose votes these are: the model's name and a digest of all that can change a vote.

        A recipe may change its auditor without becoming another run, so votes are told apart by this name.
        """
        model = models[self.model].model_dump(mode="json", exclude=_excluded())
        told = self.model_dump(mode="json", exclude={"votes", "model"})
        own = {key: told[key] for key in AuditSection.model_fields if key in told}
        return f"{self.model}/{digest(SCHEMA, 'auditor', own, model)[:8]}"


class AuditorSection(FilterSection, AuditSection):
    """An auditor's votes on the marked answer.

    A question is dropped if enough of the votes that could be read disagree, as `disagree` says. It is `unsure`, and
    kept or dropped as that key says, if no more than half of the votes could be read, if those that could not decide
    would decide it, or if a majority is wanted and there is none. Asked about are the questions that are `kept` by the
    phases before, or all that were `probed`.
    """

    phase: ClassVar[Phase] = Phase.AUDIT

    name: Literal["auditor"] = "auditor"
    stages: tuple[Stage, ...] = (Stage.PERCEPTION,)
    questions: Literal["kept", "probed"] = "kept"
    disagree: Quorum = "majority"
    unsure: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _perception_only(self) -> AuditorSection:
        if self.stages != (Stage.PERCEPTION,):
            raise ValueError("auditor checks perception questions only, which have options and a caption; leave stages")
        return self

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """Which model it is too; whose questions are asked about does not change what is said of one."""
        own = {key: value for key, value in super().params(recipe).items() if key != "questions"}
        return own | {"asker": self.asker(recipe.models)}

    def reads(self, recipe: Recipe) -> Mapping[str, Collection[object]]:
        """The votes of this very auditor."""
        return {"solver": (self.asker(recipe.models),), "rollout": tuple(range(self.votes))}

    def check(self, recipe: Recipe) -> None:
        """The model must be one of the recipe's."""
        if self.model not in recipe.models:
            raise ValueError(f"the filter auditor names the model {self.model}, and models has no entry for it")


def _excluded() -> dict[str, Any]:
    """The keys of a model that cannot change a reply, as pydantic's `exclude`."""
    found: dict[str, Any] = {}
    for key in MODEL_NO_EFFECT:
        first, _, rest = key.partition(".")
        found[first] = found.get(first, set()) | {rest} if rest else True
    return found
