"""The perception rule and the pass rate."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum.intervals import wilson
from capcurriculum.passrate import pass_rate
from capcurriculum.rows import Answer, Outcome, Question
from filters import measured, perception

QUESTION = Question("q", "perception", "P?", "A", ("w", "x", "y", "z"), "count", "i", "p", "c", "cid", "s", "l")
SOLVERS = ("one", "two")


def answer(solver: str, arm: str, outcome: str, rollout: int = 0) -> Answer:
    key = f"{solver}{arm}{rollout}"
    return Answer(key, "q", solver, "probe", arm, rollout, "", "", outcome, "stop", 1, 1, "d")


def judged(image: tuple[str, str], caption: tuple[str, str]) -> tuple[bool, str, str]:
    answers = [answer(s, "image", o) for s, o in zip(SOLVERS, image, strict=True) if o != "missing"]
    answers += [answer(s, "caption", o) for s, o in zip(SOLVERS, caption, strict=True) if o != "missing"]
    verdict = perception.judge(QUESTION, answers, SOLVERS)
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
    verdicts = {perception.judge(QUESTION, list(order), SOLVERS) for order in itertools.permutations(answers)}
    assert len(verdicts) == 1


def test_rollouts_that_all_failed_measure_nothing() -> None:
    failed = [answer("policy", "image", "failed", n) for n in range(3)]
    assert measured.judge(QUESTION, failed).reason == "not_measured"
    assert measured.judge(QUESTION, []).keep is False
    assert measured.judge(QUESTION, [*failed, answer("policy", "image", "unparsed", 9)]).keep is True


def test_the_pass_rate_counts_unparsed_as_asked_and_failed_as_never_asked() -> None:
    outcomes = ["right", "right", "wrong", "unparsed", "failed"]
    rate = pass_rate([answer("policy", "image", o, n) for n, o in enumerate(outcomes)])
    assert (rate.k, rate.n, rate.rate) == (2, 4, 0.5)


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
