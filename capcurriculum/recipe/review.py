"""The review part of a recipe: how people's answers become verdicts, and what reviewers are shown.

It is outside the run's identity: the reviews stay, and another rule judges the same ones anew.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from capcurriculum.recipe.base import Section, named
from capcurriculum.rows import SCHEMA, digest

#: The filter under whose name people's verdicts stand in the ledger.
HUMAN = "human"
#: Keys that change what reviewers see or how they are named, and no verdict.
_SHOWN = frozenset({"caption", "annotators", "workspace"})


class ReviewSection(Section):
    """Whose word counts, from how many on, and what becomes of a question on which they do not decide.

    People who can tell say one of: the marked answer is right, another one is, none is. `majority`: more than half say
    the same; `unanimous`: all do; `weighted`: those who say the same have more than the share `agree` of the weight of
    all (`weights` by annotator as the table of reviews names them, 1 for everybody else). At least `least` people must
    have been able to tell. Where most say that the key is wrong without agreeing on another one, the question is
    dropped. What they leave open `needs_another_look`, and is kept or dropped as `unsure` says. With `least_quality` a
    question whose mean quality (1 to 5) is lower is dropped too.

    `caption` says whether reviewers judge from the image first: `hidden` behind one click, `shown` or `left_out`.
    `annotators` are stored under pseudonyms or under their names. `workspace` is where Argilla puts the dataset.
    """

    rule: Literal["majority", "unanimous", "weighted"] = "majority"
    least: PositiveInt = 1
    agree: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    weights: dict[str, PositiveFloat] = {}
    unsure: Literal["keep", "drop"] = "keep"
    least_quality: Annotated[float, Field(ge=1, le=5)] | None = None
    caption: Literal["hidden", "shown", "left_out"] = "hidden"
    annotators: Literal["pseudonyms", "names"] = "pseudonyms"
    workspace: Annotated[str, named(64, "_-")] = "capcurriculum"

    @model_validator(mode="after")
    def _keys_fit_the_rule(self) -> Self:
        if self.rule != "weighted" and (self.weights or self.agree != 0.5):
            raise ValueError("weights and agree have a meaning only with rule: weighted; add that, or leave them out")
        return self

    def params(self) -> dict[str, Any]:
        """Everything that a verdict depends on beside the reviews."""
        return self.model_dump(mode="json", exclude=set(_SHOWN))

    def digest(self) -> str:
        """The `params` of the verdicts; another one means that the reviews are judged anew."""
        return digest(SCHEMA, "filter", HUMAN, self.params())
