"""The most wrong rows that a sample leaves possible: exact against enumeration, and on the safe side for strata."""

from itertools import product
from math import comb

import pytest

from review.bound import Looked, most_left, smallest, sure


def chance(rows: int, wrong: int, drawn: int, found: int) -> float:
    """Of so many found in a sample without replacement."""
    return comb(wrong, found) * comb(rows - wrong, drawn - found) / comb(rows, drawn)


def test_a_sample_without_a_wrong_row_shows_what_the_rule_of_three_says() -> None:
    million = 10**6
    assert most_left([Looked(million, 59, 0)]) / million <= 0.05 < most_left([Looked(million, 58, 0)]) / million
    # Clopper and Pearson's one-sided limit of 2 of 126 is 0.0492.
    assert most_left([Looked(million, 126, 2)]) / million == pytest.approx(0.0492, abs=1e-4)


@pytest.mark.parametrize(("rows", "drawn"), [(30, 10), (30, 29), (12, 1), (50, 45)])
def test_the_bound_holds_in_95_of_100_samples_whatever_is_true(rows: int, drawn: int) -> None:
    for wrong in range(rows + 1):
        held = sum(
            chance(rows, wrong, drawn, found)
            for found in range(max(0, drawn - rows + wrong), min(drawn, wrong) + 1)
            if most_left([Looked(rows, drawn, found)]) >= wrong - found
        )
        assert held >= 0.95


@pytest.mark.parametrize("strata", [((40, 20), (10, 2)), ((30, 3), (30, 15)), ((20, 10), (20, 10))])
def test_strata_together_are_on_the_safe_side(strata: tuple[tuple[int, int], tuple[int, int]]) -> None:
    (first, some), (second, others) = strata
    bounds = {
        (x, y): most_left([Looked(first, some, x), Looked(second, others, y)])
        for x, y in product(range(some + 1), range(others + 1))
    }
    for one, other in product(range(0, first + 1, 3), range(0, second + 1, 2)):
        held = sum(
            chance(first, one, some, x) * chance(second, other, others, y)
            for (x, y), bound in bounds.items()
            if x <= one and y <= other and bound >= one + other - x - y
        )
        assert held >= 0.95


def test_what_was_looked_at_as_a_whole_leaves_nothing_and_what_nobody_saw_may_all_be_wrong() -> None:
    assert most_left([Looked(40, 40, 7)]) == 0
    assert most_left([Looked(40, 40, 7), Looked(9, 0, 0)]) == 9
    assert most_left([Looked(40, 40, 7), Looked(100, 60, 0)]) == most_left([Looked(100, 60, 0)])


def test_the_smallest_sample_shows_the_target_and_one_row_less_does_not() -> None:
    plan = smallest(1_200, 0.05, 0.015)
    assert plan is not None
    assert plan.allowed == 2

    def share(drawn: int) -> float:
        return most_left([Looked(1_200, drawn, 2)]) / 1_198

    assert share(plan.drawn) <= 0.05 < share(plan.drawn - 1)
    assert 0.7 < plan.chance < 0.8
    larger = sure(1_200, 0.05, 0.015)
    assert larger is not None
    assert larger.drawn > plan.drawn
    assert larger.chance >= 0.9


def test_few_rows_need_a_look_at_all() -> None:
    assert smallest(10, 0.05, 0.015) is None
    assert smallest(50, 0.05, 0.015) is not None
