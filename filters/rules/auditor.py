"""Object to a marked answer that auditors do not find right.

Votes that could not be read (unparsed, failed, missing) count for neither side, and neither do those that cannot tell.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from capcurriculum.reasons import Reason
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.recipe.filter_section import RecipeView, check_captioned
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Answer, Question, Stage, Verdict
from datagen.auditor import Opinion, votes_in
from datagen.setting import Setting
from filters.base import Judge, Rule


class AuditorSection(AuditFilterSection, Rule):
    """Auditors' votes on the marked answer.

    Of the votes that could be read at least the share `agree_at_least` must agree. A question is dropped if they do
    not, even if all that could not decide had agreed, and also if one other option has more votes than the marked one,
    by more than the share `ahead_at_most`: who sees badly errs in many ways, and who sees that a label is wrong in one.
    Where those that could not decide would, or no more than half of the votes could be read, it is `unsure`, and kept
    or dropped as that key says.
    """

    name: Literal["auditor"] = "auditor"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    agree_at_least: Annotated[float, Field(gt=0, le=1)] = 0.5
    ahead_at_most: Annotated[float, Field(ge=0, le=1)] = 1.0
    unsure: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _options_named(self) -> "AuditorSection":
        if self.mode == "judge" and self.ahead_at_most < 1:
            raise ValueError("ahead_at_most compares options, and a judge names none; use mode: answer or describe")
        return self

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """Which models they are too; whose questions are asked about does not change what is said of one."""
        without = {"questions"} if self.reader else {"questions", "reader", "instruction"}
        without |= {"ahead_at_most"} if self.ahead_at_most == 1 else set()
        own = {key: value for key, value in super().params(recipe).items() if key not in without}
        return own | {"askers": self.askers(recipe.models)}

    def reads(self, recipe: RecipeView) -> Mapping[str, Collection[object]]:
        """The votes of these very auditors."""
        read = {"order": tuple(range(self.reader.orders))} if self.reader else {}
        return {"solver": self.askers(recipe.models), "rollout": tuple(range(self.votes))} | read

    def check(self, recipe: RecipeView) -> None:
        """It judges questions made from captions, and the auditors must be among the recipe's models."""
        check_captioned(self, recipe, "checks questions made from captions")
        if missing := sorted(self.named - set(recipe.models)):
            raise ValueError(f"the filter auditor names {', '.join(missing)}, and models has no such entry")

    def judging(self, at: Setting) -> Judge:
        """`judge`, in any setting."""
        del at
        return self.judge

    def judge(self, question: Question, answers: Sequence[Answer]) -> Verdict:
        """The verdict over the votes of the section's auditors."""
        votes = votes_in(answers)
        count = Counter(vote.opinion for vote in votes)
        others = Counter(vote.option for vote in votes if vote.option and vote.opinion is Opinion.DISAGREE)
        reason = _reason(count, max(others.values(), default=0), self)
        keep = reason is Reason.KEPT or (reason is not Reason.AUDIT_DISAGREES and self.unsure == "keep")
        detail = ", ".join(f"{said} {count[said]}" for said in Opinion if count[said]) or "none"
        return self.verdict(question, keep, reason, f"{detail} of {_asked(self)}", answers)


def _reason(count: Mapping[Opinion, int], other: int, section: AuditorSection) -> Reason:
    """`other` is how many votes the option has that most of those that disagree are for."""
    agree, unsure = count[Opinion.AGREE], count[Opinion.UNSURE]
    known = agree + unsure + count[Opinion.DISAGREE]
    if 2 * known <= _asked(section):
        return Reason.AUDIT_UNKNOWN
    if other - agree > section.ahead_at_most * known:
        return Reason.AUDIT_DISAGREES
    wanted = section.agree_at_least * known
    if agree >= wanted:
        return Reason.KEPT
    return Reason.AUDIT_UNSURE if agree + unsure >= wanted else Reason.AUDIT_DISAGREES


def _asked(section: AuditorSection) -> int:
    return section.votes * len(section.models)
