"""The `rollouts` section of a recipe: how the pass rate of a row is measured, and which pass rates are kept."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.recipe.base import Section
from capcurriculum.recipe.models import SamplingSection


class RolloutSection(Section):
    """The pass rate: K replies of the model that will be trained, and which pass rates are kept.

    A row is kept if `above` < pass rate < `below`; without a bound on a side, that side drops nothing. It has a pass
    rate only if at least the share `readable` of its replies could be read. `stop` says when fewer than K replies will
    do:

    - `never`: every row gets all K;
    - `decided`: as soon as the remaining replies cannot change whether the row is kept (for runs that only select);
    - `dropped`: as `decided`, but rows that are kept get all K, or as many as make their 95 % interval narrower than
      `interval`, since they are ordered by pass rate.
    """

    model: str
    k: PositiveInt = 16
    sampling: SamplingSection = SamplingSection(temperature=0.7, top_p=0.9, top_k=20)
    above: Annotated[float, Field(ge=0, lt=1)] | None = None
    below: Annotated[float, Field(gt=0, le=1)] | None = None
    readable: Annotated[float, Field(ge=0, le=1)] = 0.5
    stop: Literal["never", "decided", "dropped"] = "never"
    chunk: PositiveInt = 4
    interval: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> "RolloutSection":
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"above is {self.above} and below {self.below}; above must be the smaller one")
        if self.interval is not None and self.stop != "dropped":
            raise ValueError("interval has a meaning only with stop: dropped; add that, or leave interval out")
        return self
