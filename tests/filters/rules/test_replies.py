"""Filters that read replies: the perception rule, the other arms, and the pass rate."""

import itertools
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import stats
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Answer, Arm, Outcome, Question, Verdict
from capcurriculum.stats import PassRate, wilson
from filters.rules.blind import BlindSection
from filters.rules.consistent import ConsistentSection
from filters.rules.panel import Panel
from filters.rules.perception import PerceptionFilterSection
from filters.rules.rollouts import DifficultySection, RolloutsSection
from filters.rules.swapped import SwappedSection

QUESTION = Question("q", "perception", "P?", "A", ("w", "x", "y", "z"), "count", "i", "p", "c", "cid", "s", "l")
SOLVERS = ("one", "two")
PANEL = Panel(SOLVERS)
#: Two solvers, two orders of the options.
BOTH_ORDERS = Panel(SOLVERS, (0, 1))
MODES = [
    PerceptionFilterSection(),
    PerceptionFilterSection(mode="majority"),
    PerceptionFilterSection(mode="at_least", at_least=1),
    PerceptionFilterSection(mode="soft", caption_at_least=0.7, image_at_most=0.3),
]


def answer(solver: str, arm: str, outcome: str, rollout: int = 0) -> Answer:
    key = f"{solver}{arm}{rollout}"
    return Answer(key, "q", solver, "probe", arm, rollout, "", "", outcome, "stop", 1, 1, "d")


def judged(image: tuple[str, str], caption: tuple[str, str]) -> tuple[bool, str, str]:
    answers = [answer(s, "image", o) for s, o in zip(SOLVERS, image, strict=True) if o != "missing"]
    answers += [answer(s, "caption", o) for s, o in zip(SOLVERS, caption, strict=True) if o != "missing"]
    verdict = PerceptionFilterSection().judge(QUESTION, answers, PANEL)
    return verdict.keep, verdict.reason, verdict.detail


def test_exactly_one_combination_of_outcomes_is_kept() -> None:
    outcomes = ("right", "wrong", "unparsed", "failed", "missing")
    kept = [c for c in itertools.product(outcomes, repeat=4) if judged(c[:2], c[2:])[0]]
    assert kept == [("wrong", "wrong", "right", "right")]


@pytest.mark.parametrize(
    ("image", "caption", "expected"),
    [
        (("wrong", "right"), ("right", "right"), "right_from_image"),
        (("wrong", "wrong"), ("right", "wrong"), "wrong_from_caption"),
        (("unparsed", "wrong"), ("right", "right"), "unknown_from_image"),
        (("missing", "wrong"), ("right", "right"), "unknown_from_image"),
        (("wrong", "wrong"), ("failed", "right"), "unknown_from_caption"),
    ],
)
def test_what_is_dropped_says_why_and_by_whom(image: tuple[str, str], caption: tuple[str, str], expected: str) -> None:
    keep, reason, detail = judged(image, caption)
    assert (keep, reason) == (False, expected)
    assert detail in SOLVERS


def test_verdicts_do_not_depend_on_the_order_of_the_answers() -> None:
    answers = [answer(s, arm, "wrong") for s in SOLVERS for arm in ("image", "caption")]
    verdicts = {
        PerceptionFilterSection().judge(QUESTION, list(order), PANEL) for order in itertools.permutations(answers)
    }
    assert len(verdicts) == 1


def test_rollouts_that_all_failed_measure_nothing() -> None:
    failed = [answer("policy", "image", "failed", n) for n in range(3)]
    section = RolloutSection(model="policy")
    assert RolloutsSection().judge(QUESTION, failed, section).reason == "unmeasured"
    assert RolloutsSection().judge(QUESTION, [], section).keep is False
    assert RolloutsSection().judge(QUESTION, failed, RolloutSection(model="policy", readable=0)).keep is False


@pytest.mark.parametrize(
    ("outcomes", "readable", "keep"),
    [
        (["unparsed"] * 4, 0.5, False),  # all cut off: nothing is known of how hard it is
        (["wrong", "unparsed", "unparsed", "failed"], 0.5, False),
        (["wrong", "right", "unparsed", "failed"], 0.5, True),
        (["wrong", "unparsed", "unparsed", "unparsed"], 0.25, True),
        (["wrong", "wrong", "wrong", "unparsed"], 1.0, False),
    ],
)
def test_a_row_is_measured_by_what_could_be_read(outcomes: list[str], readable: float, keep: bool) -> None:
    replies = [answer("policy", "image", outcome, n) for n, outcome in enumerate(outcomes)]
    verdict = RolloutsSection().judge(QUESTION, replies, RolloutSection(model="policy", readable=readable))
    assert (verdict.keep, verdict.reason) == (keep, "kept" if keep else "unmeasured")
    assert keep or "readable" in verdict.detail


def test_the_pass_rate_counts_what_could_be_read_and_says_what_could_not() -> None:
    rate = PassRate.of(["right", "right", "wrong", "unparsed", "unparsed", "failed"])
    assert (rate.k, rate.n, rate.unreadable, rate.failed, rate.asked) == (2, 3, 2, 1, 6)
    assert rate.rate == pytest.approx(2 / 3)
    assert str(rate) == "2 of 3, 2 unreadable, 1 failed"


@given(st.lists(st.sampled_from(["right", "wrong", "unparsed", "failed"])))
def test_counts_over_a_table_are_the_same(outcomes: list[str]) -> None:
    rate = PassRate.of(outcomes)
    row = {"question_id": "q", "purpose": "rollout"}
    answers = pl.DataFrame([row | {"outcome": outcome} for outcome in [*outcomes, "right"]])
    found = stats.pass_counts(answers.lazy().with_columns(purpose=pl.Series(["rollout"] * len(outcomes) + ["probe"])))
    counts = {"k": rate.k, "n": rate.n, "unreadable": rate.unreadable, "failed": rate.failed}
    assert found.collect().to_dicts() == ([{"question_id": "q"} | counts] if outcomes else [])


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    for (k, n), (low, high) in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
    }.items():
        assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_stays_in_zero_to_one(kn: tuple[int, int]) -> None:
    k, n = kn
    low, high = wilson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0


def test_outcomes_keep_their_names() -> None:
    assert [o.value for o in Outcome] == ["right", "wrong", "unparsed", "failed"]


Cell = tuple[str, str, int]
CELLS: list[Cell] = [
    (s, arm, order) for s in SOLVERS for arm in ("image", "caption", "blind", "swapped") for order in (0, 1)
]
SAID = st.sampled_from([("right", "A"), ("wrong", "B"), ("wrong", "C"), ("unparsed", ""), ("failed", ""), None])
PROBED = st.tuples(*(SAID for _ in CELLS)).map(lambda said: dict(zip(CELLS, said, strict=True)))


def replies(said: dict[Cell, tuple[str, str] | None]) -> list[Answer]:
    """One reply for each cell that has one."""
    return [
        Answer(f"{s}{arm}{order}", "q", s, "probe", arm, 0, "", found[1], found[0], "stop", 1, 1, "d", "", order)
        for (s, arm, order), found in said.items()
        if found
    ]


def verdicts(answers: list[Answer]) -> list[Verdict]:
    """What every filter that reads the probe says, perception in all its modes first."""
    return [
        *(mode.judge(QUESTION, answers, BOTH_ORDERS) for mode in MODES),
        *(BlindSection(solvers=q).judge(QUESTION, answers, BOTH_ORDERS) for q in ("all", "majority", "any")),
        *(SwappedSection(solvers=q).judge(QUESTION, answers, BOTH_ORDERS) for q in ("all", "any")),
        ConsistentSection().judge(QUESTION, answers, BOTH_ORDERS),
        ConsistentSection(arms=("image",), solvers="all").judge(QUESTION, answers, BOTH_ORDERS),
    ]


@given(PROBED, st.randoms(use_true_random=False))
def test_filters_are_pure_and_blind_to_the_order_of_replies(
    said: dict[Cell, tuple[str, str] | None], draw: Any
) -> None:
    answers = replies(said)
    shuffled = draw.sample(answers, len(answers))
    assert verdicts(answers) == verdicts(answers) == verdicts(shuffled)


@given(PROBED, st.sets(st.sampled_from(CELLS), min_size=1), st.sampled_from([("unparsed", ""), ("failed", ""), None]))
def test_what_becomes_unknown_never_makes_perception_keep_nor_others_object(
    said: dict[Cell, tuple[str, str] | None], lost: set[Cell], how: tuple[str, str] | None
) -> None:
    before = verdicts(replies(said))
    after = verdicts(replies({cell: how if cell in lost else found for cell, found in said.items()}))
    for one, other in zip(before[: len(MODES)], after[: len(MODES)], strict=True):
        assert one.keep or not other.keep
    for one, other in zip(before[len(MODES) :], after[len(MODES) :], strict=True):
        assert other.keep or not one.keep


@given(st.sampled_from(MODES), st.sets(st.sampled_from([c for c in CELLS if c[1] in ("image", "caption")])))
def test_an_unknown_reply_is_named_unknown_where_it_decides(mode: PerceptionFilterSection, lost: set[Cell]) -> None:
    perfect = {cell: ("wrong", "B") if cell[1] == "image" else ("right", "A") for cell in CELLS}
    verdict = mode.judge(QUESTION, replies({c: s for c, s in perfect.items() if c not in lost}), BOTH_ORDERS)
    assert verdict.reason in ("kept", "unknown_from_image", "unknown_from_caption")
    assert verdict.keep or lost


def test_every_order_that_was_asked_must_agree() -> None:
    said = {cell: ("wrong", "B") if cell[1] == "image" else ("right", "A") for cell in CELLS}
    assert PerceptionFilterSection().judge(QUESTION, replies(said), BOTH_ORDERS).keep
    said["two", "image", 1] = ("right", "A")
    assert PerceptionFilterSection().judge(QUESTION, replies(said), BOTH_ORDERS).reason == "right_from_image"


@pytest.mark.parametrize(
    ("wrong_from_image", "kept"),
    [(3, {"all", "majority", "at_least 1", "soft"}), (2, {"majority", "at_least 1"}), (1, {"at_least 1"}), (0, set())],
)
def test_modes_say_how_many_solvers_must_follow_the_rule(wrong_from_image: int, kept: set[str]) -> None:
    panel = Panel(("x", "y", "z"))
    answers = [answer(s, "caption", "right") for s in panel.solvers]
    answers += [answer(s, "image", "wrong" if n < wrong_from_image else "right") for n, s in enumerate(panel.solvers)]
    modes = {
        "all": MODES[0],
        "majority": MODES[1],
        "at_least 1": MODES[2],
        "soft": MODES[3],
    }
    assert {name for name, mode in modes.items() if mode.judge(QUESTION, answers, panel).keep} == kept


def test_a_majority_stands_without_the_solver_whose_reply_is_unknown() -> None:
    panel = Panel(("x", "y", "z"))
    answers = [a for s in ("x", "y") for a in (answer(s, "caption", "right"), answer(s, "image", "wrong"))]
    assert MODES[1].judge(QUESTION, answers, panel).keep
    assert PerceptionFilterSection().judge(QUESTION, answers, panel).reason == "unknown_from_image"
    assert (
        PerceptionFilterSection().judge(QUESTION, [*answers, answer("z", "image", "right")], panel).reason
        == "right_from_image"
    )


def said_on(arm: str, letters: dict[tuple[str, int], str]) -> dict[Cell, tuple[str, str] | None]:
    return {(s, arm, o): (("right" if letter == "A" else "wrong"), letter) for (s, o), letter in letters.items()}


def test_blind_objects_when_all_are_right_without_seeing_and_says_when_it_cannot_know() -> None:
    everyone = {(s, o): "A" for s in SOLVERS for o in (0, 1)}
    section = BlindSection()
    assert section.action == "label"

    def reason(letters: dict[tuple[str, int], str]) -> tuple[bool, str]:
        verdict = section.judge(QUESTION, replies(said_on("blind", letters)), BOTH_ORDERS)
        return verdict.keep, verdict.reason

    assert reason(everyone) == (False, "right_without_image")
    assert reason(everyone | {("two", 1): "B"}) == (True, "kept")
    assert reason({key: letter for key, letter in everyone.items() if key != ("two", 1)}) == (
        True,
        "unknown_without_image",
    )


def test_swapped_objects_when_another_image_changes_nothing() -> None:
    same = {(s, o): "B" for s in SOLVERS for o in (0, 1)}
    other = same | {("one", 0): "C"}

    def reason(shown: dict[tuple[str, int], str], quorum: str) -> str:
        answers = replies(said_on("image", same)) + replies(said_on("swapped", shown))
        return SwappedSection.model_validate({"solvers": quorum}).judge(QUESTION, answers, BOTH_ORDERS).reason

    assert reason(same, "all") == reason(same, "any") == "unchanged_by_another_image"
    assert (reason(other, "all"), reason(other, "any")) == ("kept", "unchanged_by_another_image")
    assert reason({}, "any") == "unknown_with_another_image"


def test_consistent_objects_to_a_choice_that_follows_the_letter() -> None:
    stable = {(s, o): "B" for s in SOLVERS for o in (0, 1)}
    moved = stable | {("two", 1): "C"}
    caption = replies(said_on("caption", stable))
    found = ConsistentSection().judge(QUESTION, replies(said_on("image", moved)) + caption, BOTH_ORDERS)
    assert (found.keep, found.reason, found.detail) == (False, "choice_changes_with_order", "two")
    section = ConsistentSection(solvers="all")
    assert section.judge(QUESTION, replies(said_on("image", moved)) + caption, BOTH_ORDERS).reason == "kept"
    found = ConsistentSection().judge(QUESTION, caption, BOTH_ORDERS)
    assert (found.keep, found.reason) == (True, "unknown_in_some_order")


def test_an_interval_may_be_asked_to_lie_inside_the_band() -> None:
    band = RolloutSection(model="m", k=16, above=0.1, below=0.9)
    inside = DifficultySection(interval="inside")

    def reasons(right: int) -> list[str]:
        rollouts = [answer("policy", "image", "right" if n < right else "wrong", n) for n in range(16)]
        return [section.judge(QUESTION, rollouts, band).reason for section in (DifficultySection(), inside)]

    assert reasons(8) == ["kept", "kept"]
    assert reasons(14) == ["kept", "pass_rate_unsure"]
    assert reasons(16) == ["pass_rate_too_high"] * 2
    assert DifficultySection().judge(QUESTION, [answer("policy", "image", "failed")], band).reason == "unmeasured"


def test_the_panel_takes_a_reply_of_an_arm_and_order_nobody_asked_for_as_nothing() -> None:
    assert PANEL.replies([answer("three", "image", "right")], "one", Arm.IMAGE) == [None]
    assert BOTH_ORDERS.outcomes([answer("one", "image", "right")], "one", Arm.IMAGE) == [Outcome.RIGHT, None]
