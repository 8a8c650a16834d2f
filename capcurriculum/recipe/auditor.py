"""How auditors are asked, by a filter or by `capcurriculum audit`: independent models that check marked answers."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from capcurriculum.recipe.base import Section
from capcurriculum.recipe.filter_section import FilterSection, Phase
from capcurriculum.recipe.models import ASKED_WITH, MODEL_NO_EFFECT, ModelSection, SamplingSection
from capcurriculum.rows import LETTERS, SCHEMA, Arm, digest

ARMS: Mapping[str, Arm] = {"image_and_caption": Arm.BOTH, "image": Arm.IMAGE, "caption": Arm.CAPTION}


def _named(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class ReaderSection(Section):
    """Who answers from descriptions: a `model` that sees their text alone.

    It is asked once in each of `orders` rotations of the options. One that does not find the answer and guesses is
    likely to follow the letter, so a choice counts only if it is the same option in all of them. With `may_pass` it is
    also offered to say that the description does not tell.
    """

    model: str
    orders: Annotated[int, Field(ge=1, le=len(LETTERS))] = 2
    may_pass: bool = True
    sampling: SamplingSection = SamplingSection()


class AuditSection(Section):
    """How auditors are asked about a question; see `filters.rules.auditor` for what becomes of their votes.

    `mode` says what they are asked: to `judge` whether the marked answer is right, and the only right one, to `answer`
    the question themselves as any solver, their choice then being compared with the key, or to `describe` the image
    without knowing caption or question, upon which a `reader` answers from each description. What those that judge or
    answer `sees` is the image, the caption, or both; `instruction` is the prompt of those that describe, by default
    `describe`. Each of `models` gives `votes` votes. Vote v of one that judges or answers is asked with the
    options rotated by v, so that no preference for a letter decides.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)]
    mode: Literal["judge", "answer", "describe"] = "judge"
    sees: Literal["image_and_caption", "image", "caption"] = "image_and_caption"
    votes: Annotated[int, Field(ge=1, le=64)] = 3
    sampling: SamplingSection = SamplingSection()
    reader: Annotated[ReaderSection, BeforeValidator(_named)] | None = None
    instruction: str = ""

    @model_validator(mode="after")
    def _keys_fit_the_mode(self) -> "AuditSection":
        describes = self.mode == "describe"
        if describes != (self.reader is not None):
            raise ValueError("reader goes with mode: describe, and that mode needs it, for example {model: text_72b}")
        if self.instruction and not describes:
            raise ValueError("instruction goes with mode: describe")
        if describes and self.sees != "image_and_caption":
            raise ValueError("sees has no meaning with mode: describe, which shows the image alone")
        return self

    @model_validator(mode="after")
    def _votes_differ(self) -> "AuditSection":
        if len(set(self.models)) < len(self.models):
            raise ValueError("models names one of them twice; give it more votes instead")
        if self.mode == "describe" and self.votes > 1 and not self.sampling.temperature:
            raise ValueError("several descriptions need a sampling.temperature above 0; the others would be copies")
        if self.votes > len(LETTERS) and not self.sampling.temperature:
            raise ValueError(
                f"more than {len(LETTERS)} votes need a sampling.temperature above 0: the options have no more "
                "rotations, so the others would be copies"
            )
        return self

    @property
    def arm(self) -> Arm:
        """What is shown beside the question."""
        return Arm.DESCRIPTION if self.reader else ARMS[self.sees]

    @property
    def named(self) -> frozenset[str]:
        """The models that are asked, a reader among them."""
        return frozenset({*self.models, *((self.reader.model,) if self.reader else ())})

    def asker(self, name: str, models: Mapping[str, ModelSection]) -> str:
        """Under which name the votes of the model `name` are known: with a digest of all that can change a vote.

        A recipe may change its auditors without becoming another run, so nothing else tells their votes apart.
        """
        keys: dict[str, Any] = self.model_dump(mode="json", include={"mode", "sees", "sampling"})
        if self.reader:
            # In how many orders it reads is left out: the same readings serve fewer, and are part of more.
            keys |= {
                "instruction": self.instruction,
                "reader": self.reader.model_dump(mode="json", exclude={"orders"}),
            }
            keys |= {"reads": identity(models[self.reader.model])}
        return f"{name}/{digest(SCHEMA, 'auditor', keys, identity(models[name]))[:8]}"

    def describer(self, name: str, models: Mapping[str, ModelSection]) -> str:
        """Under which name the descriptions of the model `name` are known: whoever reads them, they are the same."""
        keys = self.model_dump(mode="json", include={"sampling", "instruction"})
        return f"{name}/{digest(SCHEMA, 'describer', keys, identity(models[name]))[:8]}"

    def askers(self, models: Mapping[str, ModelSection]) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.asker(name, models) for name in self.models)


class AuditFilterSection(FilterSection, AuditSection):
    """A filter for which auditors are asked.

    Asked about are the `questions` that are `kept` by the phases before, or all that were `probed`.
    """

    phase: ClassVar[Phase] = Phase.AUDIT

    questions: Literal["kept", "probed"] = "kept"


def identity(model: ModelSection) -> dict[str, Any]:
    """All of a model that can change a reply."""
    return model.model_dump(mode="json", exclude=_excluded()) | model.asked_with


def _excluded() -> dict[str, Any]:
    """The keys of a model that cannot change a reply, or not at their defaults, as pydantic's `exclude`."""
    found: dict[str, Any] = dict.fromkeys(ASKED_WITH, True)  # for `identity` to add where they are given
    for key in MODEL_NO_EFFECT:
        first, _, rest = key.partition(".")
        found[first] = found.get(first, set()) | {rest} if rest else True
    return found
