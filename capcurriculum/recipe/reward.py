"""The `training.reward` section: what is added to accuracy and format, whose weights are knobs.

Both additions are off by default, as in the paper. Their effect is part of a stage's configuration digest.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class RewardPart(BaseModel):
    """A part of the section: immutable, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SoftOverlong(RewardPart):
    """The soft overlong punishment of DAPO (Yu et al. 2025, arXiv 2503.14476), done by verl's own manager.

    A reply loses nothing until its last `buffer_tokens` before `max_response_tokens`, and over those linearly up to
    `penalty`; the paper's is 4,096 tokens of 20,480 and 1.
    """

    buffer_tokens: PositiveInt
    penalty: PositiveFloat = 1.0


class RewardSection(RewardPart):
    """`unparsed_penalty` is what a reply without a readable answer loses."""

    unparsed_penalty: Annotated[float, Field(ge=0, le=1)] = 0.0
    soft_overlong: SoftOverlong | None = None
