"""Kendall's W against scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from alignment.inference import kendall_w
from tests.alignment.test_inference import noise


@pytest.mark.parametrize("tied", [False, True])
def test_kendalls_w_is_that_of_friedmans_test(tied: bool) -> None:
    ratings = noise(5, 12) + noise(12, seed=1)
    ratings = ratings.round() if tied else ratings
    friedman = stats.friedmanchisquare(*ratings.T.numpy()).statistic
    found = kendall_w(ratings)
    assert found.w == pytest.approx(friedman / (5 * 11))
    assert found.p is None
    for i in range(5):
        for j in range(5):
            expected = stats.kendalltau(ratings[i], ratings[j]).statistic
            assert found.tau[i, j].item() == pytest.approx(expected)


def test_raters_that_agree_have_a_w_of_one() -> None:
    one = noise(8)
    same = kendall_w(torch.stack([one, one.exp(), 3 * one + 1]), n=999)
    assert same.w == pytest.approx(1)
    assert same.p == 1 / 1000
    assert same.tau.min() == pytest.approx(1)
    opposite = kendall_w(torch.stack([one, -one]))
    assert opposite.w == pytest.approx(0)
    assert opposite.tau[0, 1] == pytest.approx(-1)


def test_raters_that_know_nothing_have_a_small_w_and_even_p_values() -> None:
    found = [kendall_w(noise(8, 12, seed=s), n=99, seed=s) for s in range(200)]
    assert np.mean([f.w for f in found]) == pytest.approx(1 / 8, abs=0.01)
    assert np.mean([f.p <= 0.05 for f in found]) <= 0.09
    assert np.mean([f.p for f in found]) == pytest.approx(0.5, abs=0.06)


def test_ratings_that_say_nothing_have_no_w() -> None:
    tied = kendall_w(torch.ones(3, 6), n=20)
    assert math.isnan(tied.w)
    assert tied.p is None
    with pytest.raises(ValueError, match=r"\(1, 6\)"):
        kendall_w(noise(1, 6))
