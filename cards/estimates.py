"""Estimates of wrong labels in a run folder: by models (`audit.json`) and by people (`review.json`).

Both files have one schema: a rate with its interval for every stratum (`filters.audit.noise.Rate`), and the raters. A
missing file means "not measured"; an unreadable one is an error, since leaving it out would mean the same.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from filters.audit import run
from review.certificate import Certificate

#: File in a run folder -> whose opinions it is based on.
FILES: Mapping[str, str] = {run.FILE: "a model's opinions", "review.json": "people's opinions"}


class Rate(BaseModel):
    """The share of wrong labels in a stratum, or over several (`dropped`, `all`), with its 95 % interval."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    stratum: str
    rows: int = Field(ge=0)
    right: int = Field(ge=0)
    wrong: int = Field(ge=0)
    unknown: int = Field(ge=0)
    share: float | None = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _interval(self) -> "Rate":
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    @property
    def asked(self) -> int:
        """Number of rows in the sample."""
        return self.right + self.wrong + self.unknown


class Estimate(BaseModel):
    """One file, based on the opinions `whose`: of the models `askers`, or of `people` who gave `reviews`.

    Fields that the file lacks are empty or None. `certificates` are the upper bounds that people's reviews give,
    `corrected_keys` counts keys that people corrected, which the rows already show; `independent` is False if a rater
    has also filtered the run.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    whose: str
    askers: tuple[str, ...] = ()
    people: int | None = None
    reviews: int | None = None
    corrected_keys: int = 0
    independent: bool | None = None
    rates: tuple[Rate, ...]
    certificates: tuple[Certificate, ...] = ()


def estimates(folder: Path) -> list[Estimate]:
    """The estimates in a run folder, those of models first; raises `RunError` if a file cannot be read."""
    found = []
    for name, whose in FILES.items():
        path = folder / name
        if path.is_file():
            try:
                found.append(Estimate.model_validate(json_file.mapping(path) | {"whose": whose}))
            except (OSError, ValueError) as error:
                raise RunError(
                    f"{path} cannot be read ({' '.join(str(error).split())[:200]}); make it again, or move it away and "
                    "the card says that nothing was measured."
                ) from error
    return found
