"""The `training.preflight` section: what happens to rows the model cannot take, and how the check is done.

`overlong` decides which rows are trained on, so it is part of a stage's identity through its data; the rest is not.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class PreflightSection(BaseModel):
    """How the rows of a training are checked before it starts.

    `overlong` is what happens to rows whose prompt is longer than `max_prompt_tokens`:

    - `refuse`: the training does not start, and the report names them;
    - `drop`: the trainer reads files without them, and a record says which and why;
    - `downscale`: it reads files in which their pictures are smaller, by as little as makes them fit.

    `processes` is how many read at once (all cores if left out), `examples` how many rows a finding names. `exact` asks
    the backbone's processor about every picture, where else its arithmetic is used, which is compared with it first.
    `balance_limit` refuses a stage whose answer key is less probable than that under equally frequent letters (a
    chi-square test); under 0.001 there is a warning. `gpu_memory_gb` is what one GPU has, for plans made elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlong: Literal["refuse", "drop", "downscale"] = "refuse"
    processes: PositiveInt | None = None
    examples: PositiveInt = 3
    exact: bool = False
    balance_limit: Annotated[float, Field(gt=0, lt=1)] | None = None
    gpu_memory_gb: PositiveFloat | None = None
