"""The `curriculum` section of a recipe: orders that `build` writes beside the stages, each a chain of named sets.

The stages themselves, each easy to hard, are always written; without this section nothing else is.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from capcurriculum.recipe.base import Section, named
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Stage, digest

Kind = Literal["merged", "difficulty", "capability", "capability_x_difficulty", "interleaved"]
By = Literal["stage", "source", "skill"]

#: Kinds whose result is one set for each stage, trained one after the other.
STAGED: tuple[Kind, ...] = ("capability", "capability_x_difficulty")
_EASY_FIRST: tuple[Kind, ...] = ("difficulty", "capability_x_difficulty", "interleaved")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"


class Balance(Section):
    """Every `batch` consecutive rows hold each value of `by` in the proportion of the whole set, to within one row."""

    by: By
    batch: PositiveInt


class OrderSection(Section):
    """One order of the run's rows.

    - `merged`: one shuffled set;
    - `difficulty`: one set, easy to hard;
    - `capability`: a set for each stage, shuffled;
    - `capability_x_difficulty`: a set for each stage, easy to hard;
    - `interleaved`: one set in which every prefix holds the values of `by` in the given `proportions` (default: as many
      as there are), each of them easy to hard.

    `stages` are the stages taken, in the order they are taught (default: all); `reverse` puts the hard rows first;
    `replay` is the share of each earlier stage's training rows mixed into a later stage's; `epochs` above 1 writes
    files for each epoch, each with draws of its own; `take` is the share of each stage's training rows that is written,
    those that teach most (docs/curricula.md).
    """

    order: Kind
    name: Annotated[str, named(80)] | None = None
    stages: tuple[StageName, ...] = ()
    reverse: bool = False
    by: By = "stage"
    proportions: dict[str, PositiveFloat] = {}
    replay: Annotated[float, Field(ge=0, le=1)] = 0.0
    balance: Balance | None = None
    epochs: PositiveInt = 1
    take: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _keys_fit_the_order(self) -> Self:
        if len(set(self.stages)) < len(self.stages):
            raise ValueError("each of the stages may be named once")
        if self.reverse and self.order not in _EASY_FIRST:
            raise ValueError(f"reverse has a meaning only for {', '.join(_EASY_FIRST)}")
        if self.replay and self.order not in STAGED:
            raise ValueError(f"replay has a meaning only for {' and '.join(STAGED)}, which have earlier stages")
        if self.order != "interleaved" and (self.proportions or self.by != "stage"):
            raise ValueError("by and proportions belong to order: interleaved")
        if self.order == "interleaved" and self.balance:
            raise ValueError("an interleaved order has its proportions; leave balance out")
        return self

    @property
    def folder(self) -> str:
        """The name of the order's folder: its own, or one that says its parameters."""
        said = "-".join(self._words())
        odd = not re.fullmatch(_NAME, said)
        return self.name or (f"{self.order}-{digest(self.described())}" if odd else said)

    def described(self) -> dict[str, Any]:
        """The section as JSON, without what was not known when orders that do not have it were written."""
        return self.model_dump(mode="json", exclude={"take"} if self.take == 1 else set())

    def _words(self) -> list[str]:
        numbers = {str(stage): str(number) for number, stage in enumerate(Stage, 1)}
        words = [self.order, *(numbers.get(stage, stage) for stage in self.stages)]
        words += ["reverse" if self.reverse else "", "" if self.by == "stage" else self.by]
        words += [f"{name}.{weight:g}" for name, weight in self.proportions.items()]
        words += [f"replay{self.replay:g}" if self.replay else ""]
        words += [f"balance.{self.balance.by}.{self.balance.batch}" if self.balance else ""]
        words += [f"epochs{self.epochs}" if self.epochs > 1 else ""]
        words += [f"take{self.take:g}" if self.take < 1 else ""]
        return [word for word in words if word]


class CurriculumSection(Section):
    """In which order the stages are taught, and orders written beside them, each in its folder of `curricula/`.

    Without `stages` they are taught as perception, text, visual and then the recipe's capabilities as written.
    """

    stages: tuple[StageName, ...] = ()
    orders: tuple[OrderSection, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [order.folder for order in self.orders]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each order needs a name of its own; {', '.join(twice)} is there twice; name one of them")
        return self
