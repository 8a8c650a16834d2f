"""Drop questions whose marked answer auditors do not confirm.

Votes that are unparsed, failed, missing or undecided count for neither side.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from capcurriculum.reasons import Reason
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.recipe.base import matching
from capcurriculum.recipe.filter_section import RecipeView, check_captioned
from capcurriculum.recipe.models import undefined
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Answer, Question, Stage, Verdict
from datagen.auditor import Opinion, votes_in
from datagen.setting import Setting
from filters.base import Judge, Rule

#: A recipe may list several, such as `auditor` and `auditor/captions`; each has its own line in the ledger.
AuditorName = Annotated[
    str, matching(r"auditor(/[a-z0-9_]{1,40})?", "auditor, or auditor/ and at most 40 small letters, digits and _")
]


class AuditorSection(AuditFilterSection, Rule):
    """Auditors' votes on the marked answer.

    At least the share `agree_at_least` of the readable votes must agree. A question is dropped if they would not even
    with all undecided votes, or if another option is ahead of the marked one by more than the share `ahead_at_most` of
    the readable votes (auditors that see a wrong label name the same option, errors scatter), or if more than the share
    `unsure_at_most` of them are undecided (auditors that find in the image nothing of what a question asks about). If
    the undecided votes would decide, or at most half of the votes are readable, `unsure` decides.
    """

    name: AuditorName = "auditor"
    stages: tuple[StageName, ...] = (Stage.PERCEPTION.value,)
    agree_at_least: Annotated[float, Field(gt=0, le=1)] = 0.5
    ahead_at_most: Annotated[float, Field(ge=0, le=1)] = 1.0
    unsure_at_most: Annotated[float, Field(ge=0, le=1)] = 1.0
    unsure: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _options_named(self) -> "AuditorSection":
        if self.mode == "judge" and self.ahead_at_most < 1:
            raise ValueError("ahead_at_most compares options, and a judge names none; use mode: answer or describe")
        return self

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The section's keys that affect a vote or a verdict, and the auditors."""
        without = {"questions"} if self.reader else {"questions", "reader", "instruction"}
        without |= {key for key in ("ahead_at_most", "unsure_at_most") if getattr(self, key) == 1}
        keys = {key: value for key, value in super().params(recipe).items() if key not in without}
        return keys | {"askers": self.askers(recipe.models)}

    def reads(self, recipe: RecipeView) -> Mapping[str, Collection[object]]:
        """The votes of these auditors."""
        read = {"order": tuple(range(self.reader.orders))} if self.reader else {}
        return {"solver": self.askers(recipe.models), "rollout": tuple(range(self.votes))} | read

    def check(self, recipe: RecipeView) -> None:
        """Raise ValueError if a stage is not made from captions, or an auditor is not in the recipe's models."""
        check_captioned(self, recipe, "checks questions made from captions")
        if missing := undefined(f"the filter {self.name}", sorted(self.named), recipe.models):
            raise ValueError("; ".join(missing))

    def judging(self, at: Setting) -> Judge:
        """`judge`, in any setting."""
        del at
        return self.judge

    def judge(self, question: Question, answers: Sequence[Answer]) -> Verdict:
        """The verdict on the votes of the section's auditors."""
        votes = votes_in(answers)
        count = Counter(vote.opinion for vote in votes)
        others = Counter(vote.option for vote in votes if vote.option and vote.opinion is Opinion.DISAGREE)
        reason = _reason(count, max(others.values(), default=0), self)
        keep = reason is Reason.KEPT or (reason is not Reason.AUDIT_DISAGREES and self.unsure == "keep")
        detail = ", ".join(f"{side} {count[side]}" for side in Opinion if count[side]) or "none"
        return self.verdict(question, keep, reason, f"{detail} of {_asked(self)}", answers)


def _reason(count: Mapping[Opinion, int], other: int, section: AuditorSection) -> Reason:
    """The reason for these opinions, where the strongest other option has `other` votes."""
    agree, unsure = count[Opinion.AGREE], count[Opinion.UNSURE]
    known = agree + unsure + count[Opinion.DISAGREE]
    if 2 * known <= _asked(section):
        return Reason.AUDIT_UNKNOWN
    if other - agree > section.ahead_at_most * known or unsure > section.unsure_at_most * known:
        return Reason.AUDIT_DISAGREES
    wanted = section.agree_at_least * known
    if agree >= wanted:
        return Reason.KEPT
    return Reason.AUDIT_UNSURE if agree + unsure >= wanted else Reason.AUDIT_DISAGREES


def _asked(section: AuditorSection) -> int:
    return section.votes * len(section.models)
