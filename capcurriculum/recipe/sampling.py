"""The sampling part of a recipe, which every section that asks a model has."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from capcurriculum.rows import Sampling


class SamplingSection(BaseModel):
    """How replies are drawn; see `capcurriculum.rows.Sampling`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    max_tokens: PositiveInt = 512

    def record(self) -> Sampling:
        """The same values as a record."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_tokens)
