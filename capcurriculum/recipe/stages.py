"""The stages part of a recipe: where the rows of each capability come from, and what becomes questions of captions.

Three stages are built in. A recipe may name further capabilities, each made in the way of one of these: from captioned
images, like `perception`, or of problems without or with images, like `text` and `visual`.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.did_you_mean import meant
from capcurriculum.prompts import SKILLS, own
from capcurriculum.recipe.base import Section, matching
from capcurriculum.recipe.models import SamplingSection
from capcurriculum.recipe.sources import StageSources

#: A name is a folder, a word of `--stages 2-1-3` and a part of dotted keys.
StageName = Annotated[str, matching(r"[a-z][a-z0-9_]{0,39}", "at most 40 small letters, digits and _, a letter first")]


SkillWords = Annotated[str, matching(r"[^\n\r]{1,400}", "the words of the skill, one line of at most 400 characters")]


class TeacherSection(Section):
    """Who writes the questions, how many an image, about what, and how often a refused reply is asked again.

    A teacher that `sees` the caption alone is a text model, as in the paper; one that sees the image too is a VLM.

    `skills` maps what may be asked about to its weight, or an own skill to the words that end "Ask about ...". An own
    `prompt` is a Jinja template (in a recipe file also the name of one beside it) that is given `caption`, `skill` (the
    words), `asked` (earlier questions about the image) and `problem` (why the last reply was refused, or "").
    """

    model: str
    sees: Literal["caption", "image_and_caption"] = "caption"
    questions: Annotated[int, Field(ge=1, le=4)] = 1
    skills: dict[str, PositiveInt | SkillWords] = Field({"spatial": 1, "attribute": 1, "count": 1})
    prompt: str = ""
    tries: PositiveInt = 3
    sampling: SamplingSection = SamplingSection()
    retry_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7

    @model_validator(mode="after")
    def _skills_known(self) -> "TeacherSection":
        if not self.skills:
            raise ValueError(f"skills is empty; name some of {', '.join(SKILLS)}")
        for name, is_ in self.skills.items():
            if isinstance(is_, int) and name not in SKILLS:
                raise ValueError(
                    f"there is no skill {name!r}{meant(name, SKILLS)}; skills are {', '.join(SKILLS)}, each with a "
                    "weight, or an own one with the words to ask about, as texture: 'what a surface is made of'"
                )
        return self

    @property
    def weights(self) -> dict[str, int]:
        """Skill -> how often it is drawn; an own one as often as those of weight 1."""
        return {name: is_ if isinstance(is_, int) else 1 for name, is_ in self.skills.items()}

    def words(self, skill: str) -> str:
        """What a question of this skill is to be about."""
        is_ = self.skills.get(skill)
        return is_ if isinstance(is_, str) else SKILLS[skill]

    @model_validator(mode="after")
    def _prompt_asks(self) -> "TeacherSection":
        """An own prompt must name the keys of the reply that is read (`datagen.teacher.mcq.JSON_SCHEMA`)."""
        if self.prompt:
            needed = ["caption"] if self.sees == "caption" else []
            own.check(self.prompt, ("caption", "skill", "asked", "problem"), needed)
            sample = own.render(self.prompt, caption="", skill="", asked=[], problem="")
            if left_out := [word for word in ("JSON", "question", "options", "answer") if word not in sample]:
                raise ValueError(
                    f"prompt never says {', '.join(left_out)}; the reply is read as a JSON object with the keys "
                    "question, options (with A, B, C and D) and answer (the letter of the right one)"
                )
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

    `prompts` maps an arm to an own template as `TeacherSection.prompt`; it is given `problem`, and that of the caption
    arm `caption` as well.
    """

    solvers: Annotated[tuple[str, ...], Field(min_length=1)]
    arms: tuple[Literal["image", "caption", "blind", "swapped"], ...] = ("image", "caption", "blind", "swapped")
    other_order: bool = False
    stop: Literal["never", "decided"] = "decided"
    control: Annotated[float, Field(ge=0, le=1)] = 0.02
    again: Annotated[int, Field(ge=0, le=3)] = 1
    prompts: dict[Literal["image", "caption", "blind", "swapped"], str] = Field({})
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

    @model_validator(mode="after")
    def _prompts_ask(self) -> "ProbeSection":
        for arm, text in self.prompts.items():
            given = ("problem", "caption") if arm == "caption" else ("problem",)
            try:
                own.check(text, given, given)
            except ValueError as error:
                raise ValueError(f"prompts.{arm}: {error}") from error
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
