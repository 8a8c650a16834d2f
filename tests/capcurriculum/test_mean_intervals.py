"""Intervals of means hold the truth as often as they say, also of few rows and of rows that hardly differ."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest, multinomial

from capcurriculum import mean_intervals, stats
from capcurriculum.mean_intervals import drawn, interval

DIFFERENCES, SHARES = (-1.0, 1.0), (0.0, 1.0)
SIZES = (5, 7, 12, 30)
CHANCES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.9, 0.98)


def differences(lost: int, won: int, rows: int) -> mean_intervals.Numbers:
    return np.repeat([-1.0, 1.0, 0.0], [lost, won, rows - lost - won])


def ends(values: mean_intervals.Numbers, bounds: tuple[float, float], draws: int = 2000) -> tuple[float, float]:
    return interval([drawn(values, bounds, draws)])


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (7, 7), (3, 12), (1, 40), (395, 400)])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(right: int, rows: int) -> None:
    values = np.repeat([1.0, 0.0], [right, rows - right])
    low, high = ends(values, SHARES, 4000)
    assert low == pytest.approx(beta.ppf(0.025, right, rows - right + 1) if right else 0.0, abs=0.005)
    assert high == pytest.approx(beta.ppf(0.975, right + 1, rows - right) if right < rows else 1.0, abs=0.005)


@pytest.mark.parametrize("rows", SIZES)
def test_paired_replies_have_an_interval_that_excludes_zero_where_mcnemar_does(rows: int) -> None:
    for lost in range(rows + 1):
        for won in range(rows + 1 - lost):
            p = binomtest(won, won + lost).pvalue if won + lost else 1.0
            if mean_intervals.bootstraps(differences(lost, won, rows)) or 0.048 < p < 0.052:
                continue  # closer than draws can tell
            low, high = ends(differences(lost, won, rows), DIFFERENCES)
            assert (low > 0 or high < 0) == (p < 0.05), (lost, won)


@pytest.mark.parametrize("rows", SIZES)
def test_paired_replies_have_an_interval_that_holds_the_truth_in_95_of_100_samples(rows: int) -> None:
    outcomes = [(lost, won, rows - lost - won) for lost in range(rows + 1) for won in range(rows + 1 - lost)]
    found = np.array([ends(differences(lost, won, rows), DIFFERENCES) for lost, won, _ in outcomes])
    for loss in CHANCES:
        for win in CHANCES:
            if loss + win > 1:
                continue
            # All samples there are, each with its probability: no simulation.
            chances = multinomial.pmf(outcomes, rows, [loss, win, round(1 - loss - win, 9)])
            held = (found[:, 0] <= win - loss + 1e-9) & (found[:, 1] >= win - loss - 1e-9)
            assert chances[held].sum() >= 0.95, (loss, win)


@pytest.mark.parametrize("rows", [*SIZES, mean_intervals.ROWS])
@pytest.mark.parametrize("rates", [(0.02, 0.05), (0.5, 0.5), (0.95, 0.98), (0.1, 0.9), (0.5, 0.98)])
def test_means_of_three_replies_have_one_too(rows: int, rates: tuple[float, float]) -> None:
    random = np.random.default_rng(rows)
    before, after = (random.binomial(3, rate, (400, rows)) / 3 for rate in rates)
    held = 0
    for values in after - before:
        low, high = ends(values, DIFFERENCES, 500)
        held += low <= rates[1] - rates[0] <= high
    assert held >= 0.925 * 400  # of 0.95, three standard errors are 0.033


def test_many_rows_that_differ_have_the_interval_of_the_bootstrap() -> None:
    values = np.repeat([1.0, 0.0, -1.0], [25, 200, 5])
    means = mean_intervals.bootstrap(values, 1000, 3)
    assert interval([drawn(values, DIFFERENCES, 1000, 3)]) == tuple(np.quantile(means, [0.025, 0.975]))


def test_many_rows_that_are_alike_have_a_short_interval_and_not_a_point() -> None:
    low, high = ends(np.zeros(1000), DIFFERENCES)
    assert -0.005 < low < -0.003
    assert 0.003 < high < 0.005


def test_thirds_that_are_equal_count_as_equal() -> None:
    assert not mean_intervals.bootstraps(np.repeat([2 / 3 - 1 / 3, 1 / 3, 1 - 2 / 3, 0.0], [20, 20, 20, 5]))


def test_under_six_rows_no_outcome_tells_a_gain() -> None:
    first, second = ({str(n): float(right) for n in range(6)} for right in (False, True))
    assert not stats.gain(first, second).too_few
    del first["0"], second["0"]
    assert stats.gain(first, second).too_few
