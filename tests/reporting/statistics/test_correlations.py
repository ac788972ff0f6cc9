"""Correlations over encoders against SciPy, least squares and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr

from reporting.statistics.correlations import correlate, correlation, without_each_family
from reporting.statistics.estimates import (
    Estimate,
    geometric_mean,
    jackknife,
    mean_estimate,
    short,
)
from reporting.statistics.matrices import correlation_matrix


def pair(n: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    return x, x + rng.standard_normal(n)


def test_values_are_those_of_scipy_ties_included() -> None:
    x, y = pair()
    assert correlation(x, y) == pytest.approx(pearsonr(x, y).statistic)
    x, y = x.round(), y.round()
    assert len(set(x)) < len(x)
    assert correlation(x, y, "spearman") == pytest.approx(spearmanr(x, y).statistic)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_correlations_are_those_of_residuals(method: str) -> None:
    rng = np.random.default_rng(1)
    size, hours = rng.standard_normal((2, 30))
    x, y = (2 * size - hours + rng.standard_normal(30) for _ in range(2))
    given = np.stack([size, hours])
    data = np.stack([x, y, *given])
    data = rankdata(data, axis=1) if method == "spearman" else data
    design = np.column_stack([np.ones(30), *data[2:]])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in data[:2]]
    assert correlation(x, y, method, given) == pytest.approx(pearsonr(*left).statistic)
    assert correlation(x, y, method) > 0.5


def test_what_follows_from_the_given_has_no_partial_correlation() -> None:
    x, y = pair()
    assert math.isnan(correlation(x, y, given=x[None]))
    assert math.isnan(correlation(np.ones(20), y))
    assert math.isnan(correlation(np.ones(20), y, "spearman"))
    assert str(correlate(np.ones(20), y)) == "–"


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_bootstrap_draws_are_those_of_a_loop(method: str) -> None:
    x, y = pair(9)
    x[:2] = x[0]
    known = pearsonr if method == "pearson" else spearmanr
    counts = np.random.default_rng(3).multinomial(9, np.full(9, 1 / 9), 300)
    loop = []
    for count in counts:
        drawn = np.repeat(np.arange(9), count)
        loop.append(known(x[drawn], y[drawn]).statistic)
    found = correlate(x, y, method, draws=300, seed=3)
    if method == "spearman":
        half = 2.241403 * np.sqrt((1 + found.value**2 / 2) / 6)
        ends = np.tanh([np.arctanh(found.value) - half, np.arctanh(found.value) + half])
        adjusted = correlate(x, y, method, level=0.975)
        assert (adjusted.low, adjusted.high) == pytest.approx(tuple(ends), abs=1e-5)
        return
    half = 2.3646 * np.arctanh(loop).std()
    ends = np.tanh([np.arctanh(found.value) - half, np.arctanh(found.value) + half])
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-4)


def test_the_interval_of_few_encoders_does_not_hang_on_draws_of_two() -> None:
    x = np.array([0.1, 0.5, 0.2, 0.9, 0.7, 0.4])
    y = x + 0.02 * np.array([1, -1, 1, 1, -1, -1])
    counts = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), 2000)
    drawn = [np.repeat(np.arange(6), count) for count in counts]
    r = np.array([pearsonr(x[d], y[d]).statistic for d in drawn if len(set(d)) > 1])
    low, high = np.quantile(np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)), [0.158655, 0.841345])
    centre = np.arctanh(pearsonr(x, y).statistic)
    ends = np.tanh([centre - 2.776445 * (high - low) / 2, centre + 2.776445 * (high - low) / 2])
    found = correlate(x, y)
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-3)
    assert found.low > 0.8
    cell = correlation_matrix(x[:, None], y[:, None], draws=2000)
    assert (cell.low[0, 0], cell.high[0, 0]) == pytest.approx((found.low, found.high))


def test_few_encoders_have_no_interval_and_a_missing_value_is_an_error() -> None:
    x, y = pair(4)
    assert math.isnan(correlate(x, y).low)
    assert correlate(x, y).n == 4
    x[1] = math.nan
    with pytest.raises(ValueError, match="1 of 4 encoders"):
        correlate(x, y)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_of_few_encoders_is_not_certain(sign: int) -> None:
    x = np.arange(8.0)
    y = x.copy()
    y[[3, 4]] = y[[4, 3]]
    fault = spearmanr(x, y).statistic
    low = np.tanh(np.arctanh(fault) - 1.959964 * np.sqrt((1 + fault**2 / 2) / 5))
    found = correlate(x, sign * x**3, "spearman")
    assert found.value == pytest.approx(sign)
    assert sorted([found.low, found.high]) == pytest.approx(sorted([sign, sign * low]))
    assert 0.5 < low < 0.9


def test_values_that_are_all_the_same_have_no_interval() -> None:
    assert math.isnan(mean_estimate(np.full(6, 0.3)).low)
    assert mean_estimate(np.full(6, 0.3)).n == 6
    assert math.isnan(jackknife(0.5, np.full(6, 0.5)).high)
    assert math.isnan(geometric_mean(np.full(3, 7.0)).low)


def test_each_family_is_left_out_once() -> None:
    x, y = pair(12)
    families = ["a", "b", "b", "c"] * 3
    labels = np.array(families)
    loop = [pearsonr(x[labels != f], y[labels != f]).statistic for f in "abc"]
    found = without_each_family(x, y, families)
    assert (found.low, found.high) == pytest.approx((min(loop), max(loop)))
    assert found.lowest == "abc"[int(np.argmin(loop))]
    assert math.isnan(without_each_family(x, y, ["a"] * 12).low)


def test_what_two_encoders_leave_is_no_correlation() -> None:
    x, y = pair(12)
    families = ["large"] * 9 + ["b", "b", "c"]
    found = without_each_family(x, y, families)
    small = [*range(9), 11]
    kept = [pearsonr(x[small], y[small]).statistic]
    kept += [pearsonr(x[:11], y[:11]).statistic]
    assert (found.low, found.high) == pytest.approx((min(kept), max(kept)))
    assert found.few == ("large",)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_a_matrix_is_the_correlation_of_each_pair_over_those_that_have_both(method: str) -> None:
    rng = np.random.default_rng(0)
    base = rng.standard_normal((15, 1))
    x, y = base + rng.standard_normal((15, 4)), base + rng.standard_normal((15, 3))
    x[rng.random(x.shape) < 0.2] = math.nan
    y[rng.random(y.shape) < 0.1] = math.nan
    x[:, 3] = math.nan
    x[:3, 3] = [1, 2, 4]
    found = correlation_matrix(x, y, method, draws=400)
    for i in range(4):
        for j in range(3):
            both = ~np.isnan(x[:, i]) & ~np.isnan(y[:, j])
            assert found.n[i, j] == both.sum()
            if both.sum() > 2:
                one = correlate(x[both, i], y[both, j], method)
                assert found.value[i, j] == pytest.approx(one.value)
            if both.sum() >= 5:
                assert found.low[i, j] == pytest.approx(one.low, abs=0.3)
                assert found.low[i, j] < found.value[i, j] < found.high[i, j]
    assert np.isnan(found.low[3]).all()


def test_a_jackknife_of_a_mean_is_its_interval_by_student() -> None:
    values = pair(10)[0]
    without = np.array([np.delete(values, i).mean() for i in range(10)])
    found, known = jackknife(values.mean(), without), mean_estimate(values)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    tau = kendalltau(*pair(10)).statistic
    assert math.isnan(jackknife(tau, np.full(10, math.nan)).low)


def test_times_have_a_geometric_mean() -> None:
    found = geometric_mean(np.array([2.0, 8.0, math.nan, 0.0]))
    assert (found.value, found.n) == (pytest.approx(4), 2)
    logs = mean_estimate(np.log([2.0, 8.0]))
    assert found.low == pytest.approx(math.exp(logs.low))


def test_numbers_are_written_short() -> None:
    assert str(Estimate(0.714, 0.44, -0.872, 36)) == ".71 (.44 … −.87)"
    assert [short(x) for x in (1.0, 0.999, -0.004, 12.3)] == ["1.00", "1.00", ".00", "12.30"]
    assert str(Estimate(0.5, n=3)) == ".50"
