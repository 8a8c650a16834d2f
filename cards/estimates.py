"""Estimates of wrong labels that a run folder may hold: a model's (`audit.json`) and people's (`review.json`).

Both files have one shape: a rate with its interval for every stratum (`filters.audit.noise.Rate`), and who was asked. A
file that is not there is "not measured"; one that cannot be read is an error, because a card that left it out would
say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from filters.audit import run

#: Estimates by the name of their file in a run folder: by whose opinions.
FILES: Mapping[str, str] = {run.FILE: "a model's opinions", "review.json": "people's opinions"}


class Rate(BaseModel):
    """The share of wrong labels in one stratum, or over several (`dropped`, `all`), with its 95 % interval."""

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
        """Rows of the sample."""
        return self.right + self.wrong + self.unknown


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    askers: tuple[str, ...] = ()
    people: int | None = None
    reviews: int | None = None
    corrected_keys: int = 0
    independent: bool | None = None
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One file: `whose` opinions it rests on, who gave them, and whether they have filtered the run themselves.

    `askers` are models by name and `people` how many people gave how many `reviews`; what the file does not say is
    empty or None. `corrected` is how many marked answers people put right, which the rows already show.
    """

    file: str
    whose: str
    askers: tuple[str, ...]
    people: int | None
    reviews: int | None
    corrected: int
    independent: bool | None
    rates: tuple[Rate, ...]


def estimates(folder: Path) -> list[Estimate]:
    """The estimates in a run folder, a model's first.

    Raises:
        RunError: one of the files cannot be read.
    """
    found = []
    for name, whose in FILES.items():
        path = folder / name
        if path.is_file():
            try:
                data = _File.model_validate(json_file.read(path))
            except (OSError, ValueError, ValidationError) as error:
                raise RunError(
                    f"{path} cannot be read ({' '.join(str(error).split())[:200]}); make it again, or move it away and "
                    "the card says that nothing was measured."
                ) from error
            found.append(
                Estimate(name, whose, data.askers, data.people, data.reviews, data.corrected_keys, data.independent,
                         data.rates)
            )  # fmt: skip
    return found
