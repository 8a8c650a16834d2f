"""The stages part of a recipe: where the rows of each capability come from, and what becomes questions of captions.

Three stages are built in. A recipe may name further capabilities, each made in the way of one of these: from captioned
images, like `perception`, or of problems without or with images, like `text` and `visual`.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.prompts import SKILLS
from capcurriculum.recipe.base import Section
from capcurriculum.recipe.models import SamplingSection
from capcurriculum.recipe.sources import StageSources

#: A name is a folder, a word of `--stages 2-1-3` and a part of dotted keys.
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class TeacherSection(Section):
    """Who writes the questions, how many an image, about what, and how often a refused reply is asked again.

    A teacher that `sees` the caption alone is a text model, as in the paper; one that sees the image too is a VLM.
    """

    model: str
    sees: Literal["caption", "image_and_caption"] = "caption"
    questions: Annotated[int, Field(ge=1, le=4)] = 1
    skills: dict[str, PositiveInt] = Field({"spatial": 1, "attribute": 1, "count": 1})
    tries: PositiveInt = 3
    sampling: SamplingSection = SamplingSection()
    retry_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7

    @model_validator(mode="after")
    def _skills_known(self) -> "TeacherSection":
        unknown = sorted(set(self.skills) - set(SKILLS))
        if unknown or not self.skills:
            raise ValueError(f"skills must be some of {', '.join(SKILLS)}; not {', '.join(unknown) or 'none'}")
        return self


class ProbeSection(Section):
    """Which solvers answer, on which arms, and whether each question is also asked with its options rotated by one.

    The perception rule needs the arms image and caption. Blind (the question alone) and swapped (another image) tell
    how much of an answer needs no seeing.

    With `stop: decided` a question is asked until the filters that drop rows by the probe have decided it, and the rest
    of its replies only if they keep it; the kept rows are those of `never`, which asks everything. The share `control`
    of the questions is asked everything all the same, so that the rates of the arms can be estimated.

    A reply that cannot be read is asked for `again` so many times, with twice the room for tokens each time; the last
    one counts.
    """

    solvers: Annotated[tuple[str, ...], Field(min_length=1)]
    arms: tuple[Literal["image", "caption", "blind", "swapped"], ...] = ("image", "caption", "blind", "swapped")
    other_order: bool = False
    stop: Literal["never", "decided"] = "decided"
    control: Annotated[float, Field(ge=0, le=1)] = 0.02
    again: Annotated[int, Field(ge=0, le=3)] = 1
    sampling: SamplingSection = SamplingSection()

    @property
    def replies(self) -> int:
        """The replies to one question where everything is asked."""
        return len(self.solvers) * len(self.arms) * (1 + self.other_order)

    @model_validator(mode="after")
    def _rule_can_judge(self) -> "ProbeSection":
        if not {"image", "caption"} <= set(self.arms):
            raise ValueError("arms must hold image and caption, which the perception rule compares")
        return self


class PerceptionSection(StageSources):
    """Captioned images and everything that turns them into questions."""

    teacher: TeacherSection
    probe: ProbeSection


class ProblemSection(StageSources):
    """Problems that come with gold answers."""


class PerceptionCapability(PerceptionSection):
    """A further capability that is made from captioned images, with a teacher and a probe of its own."""

    kind: Literal["perception"]


class ProblemCapability(ProblemSection):
    """A further capability that is made of problems: `text` ones, or `visual` ones, which have images."""

    kind: Literal["text", "visual"]


Capability = Annotated[PerceptionCapability | ProblemCapability, Field(discriminator="kind")]
