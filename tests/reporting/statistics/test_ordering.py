"""Order and regret against pairs and sets that are counted one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, t

from reporting.report.shortcut.statistics import Shortcut, across_runs
from reporting.statistics.estimates import Estimate
from reporting.statistics.ordering import order_accuracy, order_difference, regret


def draw(n: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(n)
    return truth + rng.standard_normal(n), truth


def test_accuracy_is_half_of_one_and_tau_without_ties() -> None:
    score, truth = draw()
    tau = kendalltau(score, truth).statistic
    assert order_accuracy(score, truth).value == pytest.approx((1 + tau) / 2)
    assert order_accuracy(truth, truth).value == 1
    assert order_accuracy(-truth, truth).value == 0


def test_equal_truths_do_not_count_and_equal_scores_count_half() -> None:
    score, truth = (x.round() for x in draw(12))
    right = pairs = 0.0
    for i, j in combinations(range(12), 2):
        if truth[i] != truth[j]:
            pairs += 1
            same = (score[i] - score[j]) * (truth[i] - truth[j])
            right += 1.0 if same > 0 else 0.5 if same == 0 else 0.0
    assert pairs < 66
    assert order_accuracy(score, truth).value == pytest.approx(right / pairs)
    assert order_accuracy(score, np.zeros(12)).low != order_accuracy(score, truth).low


def test_the_interval_of_accuracy_is_a_jackknife_over_encoders() -> None:
    score, truth = draw(8)
    tau = np.array(
        [kendalltau(np.delete(score, i), np.delete(truth, i)).statistic for i in range(8)]
    )
    share = (1 + tau) / 2
    half = 2.364624 * np.sqrt(7 / 8 * ((share - share.mean()) ** 2).sum())
    centre = (1 + kendalltau(score, truth).statistic) / 2
    found = order_accuracy(score, truth)
    assert found.low == pytest.approx(max(centre - half, 0))
    assert found.high == pytest.approx(min(centre + half, 1))


@pytest.mark.parametrize("among", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("tied", [False, True])
def test_regret_is_the_mean_over_all_sets(among: int, tied: bool) -> None:
    score, truth = draw()
    score = score.round() if tied else score
    losses = []
    for chosen in combinations(range(9), among):
        own = np.array(chosen)
        taken = truth[own][score[own] == score[own].max()]
        losses.append(truth[own].max() - taken.mean())
    found = regret(score, truth, among)
    assert found.value == pytest.approx(np.mean(losses))
    assert np.isnan(found.high) == (among == 9)


def test_regret_of_all_is_what_the_pick_lacks() -> None:
    truth = np.array([0.1, 0.5, 0.9])
    assert regret(np.array([1.0, 3.0, 2.0]), truth).value == pytest.approx(0.4)
    assert regret(truth, truth).value == 0
    assert math.isnan(regret(truth, truth, 2).high)


def jackknife_of_tau(score: np.ndarray, truth: np.ndarray) -> float:
    """Half the width of the interval of the share, leaving encoders out one by one."""
    n = len(score)
    tau = [kendalltau(np.delete(score, i), np.delete(truth, i)).statistic for i in range(n)]
    share = (1 + np.array(tau)) / 2
    return float(t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((share - share.mean()) ** 2).sum()))


@pytest.mark.parametrize(("n", "turned"), [(4, False), (7, True), (12, False)])
def test_an_order_without_a_fault_has_the_interval_of_one_with_a_fault(
    n: int, turned: bool
) -> None:
    score = draw(n)[0]
    place = score.argsort()
    widths = []
    for k in range(n - 1):
        swapped = score.copy()
        swapped[place[k]], swapped[place[k + 1]] = score[place[k + 1]], score[place[k]]
        widths.append(jackknife_of_tau(swapped, score))
    found = order_accuracy(-score if turned else score, score)
    ends = (0, min(1, max(widths))) if turned else (max(0, 1 - max(widths)), 1)
    assert (found.low, found.high) == pytest.approx(ends)
    assert max(widths) > 0.04
    assert math.isnan(order_accuracy(np.ones(n), score).low)


def test_a_difference_is_paired_over_encoders() -> None:
    score, truth = draw(10)
    other = draw(10, seed=3)[0]
    tau = [kendalltau(x, truth).statistic for x in (score, other)]
    left = []
    for i in range(10):
        y = np.delete(truth, i)
        pair = [kendalltau(np.delete(x, i), y).statistic for x in (score, other)]
        left.append((pair[0] - pair[1]) / 2)
    half = t.ppf(0.995, 9) * np.sqrt(9 / 10 * ((left - np.mean(left)) ** 2).sum())
    found = order_difference(score, other, truth, 0.99)
    assert found.value == pytest.approx((tau[0] - tau[1]) / 2)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert math.isnan(order_difference(score, score, truth, 0.99).low)


def test_sizes_that_do_not_exist_and_missing_values_are_errors() -> None:
    score, truth = draw()
    with pytest.raises(ValueError, match="among 10 of 9"):
        regret(score, truth, 10)
    score[0] = np.nan
    with pytest.raises(ValueError, match="1 with a missing value"):
        order_accuracy(score, truth)


@pytest.mark.parametrize("values", [[0.5, 1.0], [0.5, 1.0, 0.9], [0.0, 0.1, 0.0, 0.2]])
def test_a_mean_over_runs_stays_a_share(values: list[float]) -> None:
    row = Shortcut(
        "r2", "alignment", "task", none := Estimate(0.0), none, "", 0.0, none, 0.0, 1.0, 1.0
    )
    runs = {str(i): [replace(row, accuracy=Estimate(v, n=5))] for i, v in enumerate(values)}
    ((name, accuracy, _),) = across_runs(runs)
    assert (name, accuracy.n) == ("r2", len(values))
    assert accuracy.value == pytest.approx(sum(values) / len(values))
    if len(values) < 3:
        assert math.isnan(accuracy.low)
    else:
        assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
