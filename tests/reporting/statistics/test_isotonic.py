"""Isotonic fits against SciPy; the test of a rise and the noise of steps against simulations."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from reporting.statistics.isotonic import fit_isotonic, p_of_rise, share_of_rise, step_noise


@pytest.mark.parametrize("count", [2, 5, 13])
def test_the_fit_is_that_of_scipy(count: int) -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal((20, count)), rng.uniform(0.1, 3, count)
    values[0] = values[0].round()  # equal values
    for w in (None, weights):
        expected = [isotonic_regression(row, weights=w).x for row in values]
        np.testing.assert_allclose(fit_isotonic(values, w), expected, atol=1e-12)


def test_the_share_is_one_of_a_rise_and_nothing_of_a_fall() -> None:
    rise = np.array([0.0, 0.1, 0.5, 0.6])
    weights = np.array([1.0, 2, 3, 4])
    assert share_of_rise(rise, weights) == pytest.approx(1)
    assert share_of_rise(-rise, weights) == pytest.approx(0, abs=1e-12)
    assert share_of_rise(np.full(4, 0.3)) == 0


def test_flat_curves_have_even_p() -> None:
    noise = np.random.default_rng(1).standard_normal((1000, 8))
    p = np.array([p_of_rise(row) for row in noise])
    for level in (0.05, 0.2):
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * math.sqrt(level / 1000))
    scale = np.linspace(0.5, 3, 8)
    weighted = np.array([p_of_rise(row * scale, 1 / scale**2) for row in noise])
    assert np.mean(weighted <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_four_steps_can_rise_and_three_cannot() -> None:
    """Of 24 orders of four values the ascending one is the only one with a share of 1."""
    assert math.isnan(p_of_rise(np.arange(3.0)))
    assert p_of_rise(np.arange(4.0)) == pytest.approx(1 / 24, abs=0.01)
    shares = [share_of_rise(np.array(order, float)) for order in permutations(range(4))]
    assert np.isclose(shares, 1).sum() == 1


def test_the_noise_of_steps_is_found_beside_a_line() -> None:
    rng = np.random.default_rng(2)
    places = np.sort(rng.uniform(0, 8, 12))
    weights = rng.uniform(0.5, 2, 12)
    line = 0.3 * places + 1
    assert step_noise(line, places) == pytest.approx(0, abs=1e-12)
    noisy = line + 0.2 * rng.standard_normal((3000, 12)) / np.sqrt(weights)
    found = np.array([step_noise(row, places, weights) for row in noisy])
    assert np.sqrt((found**2).mean()) == pytest.approx(0.2, rel=0.03)
