"""Groups of encoders against SciPy and scikit-learn's formulas; agreement of rankings."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import f_oneway, rankdata, spearmanr, ttest_ind
from scipy.stats.contingency import association

from reporting.statistics.groups import (
    compare_groups,
    difference,
    holm,
    rank_p,
    shared_share,
)
from reporting.statistics.rankings import concordance

GROUPS = ["speech"] * 5 + ["music"] * 4 + ["all"] * 6


def values(shift: float = 0.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(15)
    return noise + shift * np.array([name == "all" for name in GROUPS])


def test_the_share_is_that_of_the_analysis_of_variance() -> None:
    x = values(1.5)
    parts = [x[np.array(GROUPS) == name] for name in ("speech", "music", "all")]
    known = f_oneway(*parts)
    share = 1 / (1 + 12 / (2 * known.statistic))
    found = compare_groups(x, GROUPS)
    assert found.share == pytest.approx(share)
    assert found.p == pytest.approx(known.pvalue, abs=0.02)
    assert found.expected == pytest.approx(2 / 14, abs=0.01)
    assert found.means["all"].value == pytest.approx(parts[2].mean())
    assert found.means["all"].n == 6
    pooled = math.sqrt(sum(((part - part.mean()) ** 2).sum() for part in parts) / 12)
    half = 2.178813 * pooled / math.sqrt(6)
    ends = parts[2].mean() - half, parts[2].mean() + half
    assert (found.means["all"].low, found.means["all"].high) == pytest.approx(ends)


def test_one_group_has_no_share_and_a_missing_value_is_an_error() -> None:
    found = compare_groups(values(), ["a"] * 15)
    assert math.isnan(found.share)
    assert math.isnan(compare_groups(np.ones(15), GROUPS).p)
    with pytest.raises(ValueError, match="missing"):
        compare_groups(np.full(15, math.nan), GROUPS)


def test_differences_are_those_of_welch() -> None:
    x = values()
    a, b = x[:5], 3 * x[5:]
    known = ttest_ind(a, b, equal_var=False).confidence_interval()
    found = difference(a, b)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    assert found.n == 15
    assert math.isnan(difference(a[:1], b).low)
    assert math.isnan(difference(np.full(3, 0.1), np.full(4, 0.2)).low)


def test_p_of_holm_is_that_of_the_definition() -> None:
    p = [0.01, 0.04, math.nan, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("n", [5, 7, 30])
def test_the_p_of_ranks_is_that_of_all_pairings(n: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(n)
    y = (x + 1.5 * rng.standard_normal(n)).round()
    if n > 7:
        assert rank_p(x, y) == pytest.approx(spearmanr(x, y).pvalue, abs=0.02)
        return
    rho = [abs(spearmanr(x, order).statistic) for order in permutations(y)]
    assert rank_p(x, y) == pytest.approx(np.mean(np.array(rho) >= rho[0] - 1e-9))
    assert rank_p(x[:5], x[:5] ** 3) == pytest.approx(2 / 120)
    assert math.isnan(rank_p(x, np.ones(n)))


def test_groupings_that_follow_from_each_other_share_everything() -> None:
    first, second = list("aabbccab"), list("xyxyxyxx")
    table = np.array([[first.count(a) and sum(
        p == a and q == b for p, q in zip(first, second, strict=True)) for b in "xy"]
        for a in "abc"])  # fmt: skip
    assert shared_share(first, second) == pytest.approx(association(table, method="cramer"))
    assert shared_share(first, [name.upper() for name in first]) == pytest.approx(1)
    assert math.isnan(shared_share(first, ["one"] * 8))


def test_concordance_is_the_formula_and_its_interval_that_of_mean_rho() -> None:
    rng = np.random.default_rng(0)
    ratings = rng.standard_normal(10) + rng.standard_normal((4, 10))
    place = ratings.argsort(1).argsort(1) + 1
    squares = ((place.sum(0) - place.sum(0).mean()) ** 2).sum()
    found, p = concordance(ratings)
    assert found.value == pytest.approx(12 * squares / (16 * (1000 - 10)))
    rho = np.mean([spearmanr(a, b).statistic for a, b in combinations(ratings, 2)])
    assert found.value == pytest.approx((1 + 3 * rho) / 4)
    assert found.low < found.value < found.high
    assert p < 0.05
    assert found.n == 10


def test_metrics_that_agree_have_a_w_of_one() -> None:
    found, p = concordance(np.tile(np.arange(6.0), (3, 1)))
    assert found.value == pytest.approx(1)
    assert (math.isnan(found.low), found.n) == (True, 6)
    assert p < 0.01


@pytest.mark.parametrize("ties", [False, True])
def test_the_interval_of_w_is_a_jackknife_over_encoders(ties: bool) -> None:
    """W here as the variance of rank sums by the largest it could be, written out."""

    def w(rows: np.ndarray) -> float:
        place = np.array([rankdata(one) for one in rows])
        sums = [sum(one[i] for one in place) for i in range(rows.shape[1])]
        mean = sum(sums) / len(sums)
        m, k = rows.shape
        tied = sum(
            int(c) ** 3 - int(c) for one in rows for c in np.unique(one, return_counts=True)[1]
        )
        return 12 * sum((x - mean) ** 2 for x in sums) / (m**2 * (k**3 - k) - m * tied)

    rng = np.random.default_rng(4)
    ratings = 2 * rng.standard_normal(9) + rng.standard_normal((3, 9))
    ratings = ratings.round() if ties else ratings
    left = np.array([w(np.delete(ratings, i, axis=1)) for i in range(9)])
    half = 2.306004 * math.sqrt(8 / 9 * ((left - left.mean()) ** 2).sum())
    found, _ = concordance(ratings)
    assert found.value == pytest.approx(w(ratings))
    ends = max(0, w(ratings) - half), min(1, w(ratings) + half)
    assert (found.low, found.high) == pytest.approx(ends)
    assert math.isnan(concordance(ratings[:, :4])[0].low)
