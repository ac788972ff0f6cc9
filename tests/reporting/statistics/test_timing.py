"""Times of planted rises, peaks and shifts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reporting.statistics.timing import best_shift, emergence, lead, time_to

STEPS = np.array([0.0, 10, 20, 40, 80, 160, 320])


def test_half_of_a_straight_rise_is_found_between_the_steps() -> None:
    for half in (7.0, 25.0, 101.0):
        curve = 0.2 + 0.3 * np.clip(STEPS / (2 * half), 0, 1)
        exact = np.interp(0.35, curve[: int(curve.argmax()) + 1], STEPS[: int(curve.argmax()) + 1])
        assert time_to(curve, STEPS) == pytest.approx(exact)
    on_grid = np.array([0.0, 0, 0, 1, 2, 2, 2])
    assert time_to(on_grid, STEPS) == pytest.approx(40)
    assert time_to(on_grid, STEPS, 0.25) == pytest.approx(30)


def test_the_first_crossing_counts_and_a_curve_that_falls_has_none() -> None:
    assert time_to(np.array([0.0, 2, 0, 0, 0, 0, 1]), STEPS) == pytest.approx(2.5)
    found = emergence(np.array([[1.0, 2, 3, 3, 2, 1, 0.5], [0.0, 0, 0, 0, 0, 0, 0]]), STEPS)
    assert np.isnan(found.half).all()
    assert found.peak_time.tolist() == [20, 0]
    assert found.decline == pytest.approx([2.5, 0])
    assert found.rise == pytest.approx([-0.5, 0])


def test_many_curves_at_once_are_each_alone() -> None:
    curves = np.random.default_rng(0).standard_normal((5, 4, 7)).cumsum(-1)
    found = emergence(curves, STEPS)
    for place in np.ndindex(5, 4):
        one = emergence(curves[place], STEPS)
        for field in ("half", "peak_time", "decline", "start", "final"):
            expected = getattr(one, field)
            assert getattr(found, field)[place] == pytest.approx(expected, nan_ok=True)


def test_half_by_a_loop() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        curve = rng.standard_normal(7).cumsum()
        level = (curve[0] + curve[-1]) / 2
        expected = math.nan
        if curve[-1] > curve[0]:
            for i in range(1, 7):
                if curve[i] >= level:
                    share = (level - curve[i - 1]) / (curve[i] - curve[i - 1])
                    expected = STEPS[i - 1] + share * (STEPS[i] - STEPS[i - 1])
                    break
        assert time_to(curve, STEPS) == pytest.approx(expected, nan_ok=True)


def test_a_lead_counts_doublings() -> None:
    assert lead(10, 40) == 2
    assert lead(40, 10) == -2
    assert math.isnan(lead(0, 10))
    assert math.isnan(lead(10, math.nan))


@pytest.mark.parametrize("shift", [-60, -13, 0, 4, 37, 110])
def test_planted_shifts_are_found(shift: int) -> None:
    times = np.arange(0.0, 401, 10)
    first = 1 / (1 + np.exp(-(times - 180) / 25))
    second = 3 + 2 / (1 + np.exp(-(times - 180 - shift) / 25))
    assert best_shift(first, second, times) == pytest.approx(shift, abs=2)
    assert best_shift(second, first, times) == pytest.approx(-shift, abs=2)


def test_straight_curves_fit_best_where_they_are() -> None:
    """They correlate at 1 at every shift."""
    assert best_shift(STEPS, 3 * STEPS + 1, STEPS) == pytest.approx(0, abs=1e-6)
    early = np.clip(STEPS, 0, 80)
    assert best_shift(early, early, STEPS) == pytest.approx(0, abs=1e-6)


def test_flat_curves_have_no_shift_and_bad_times_are_errors() -> None:
    flat = np.ones(7)
    assert math.isnan(best_shift(flat, STEPS, STEPS))
    with pytest.raises(ValueError, match="ascend"):
        emergence(flat, STEPS[::-1])
    with pytest.raises(ValueError, match="at 6 times"):
        emergence(flat, STEPS[1:])
    with pytest.raises(ValueError, match="NaN"):
        emergence(np.full(7, math.nan), STEPS)
