"""Times of planted rises, peaks and shifts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reporting.statistics.shifts import best_shift
from reporting.statistics.timing import emergence, lead, time_to

STEPS = np.array([0.0, 10, 20, 40, 80, 160, 320])
LONG = np.array([0.0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 960])


def test_half_of_a_straight_rise_is_found_between_the_steps() -> None:
    for half in (7.0, 25.0, 101.0):
        curve = 0.2 + 0.3 * np.clip(STEPS / (2 * half), 0, 1)
        exact = np.interp(0.35, curve[: int(curve.argmax()) + 1], STEPS[: int(curve.argmax()) + 1])
        assert time_to(curve, STEPS) == pytest.approx(exact)
    on_grid = np.array([0.0, 0, 0, 1, 2, 2, 2])
    assert time_to(on_grid, STEPS) == pytest.approx(40)
    assert time_to(on_grid, STEPS, 0.25) == pytest.approx(30)


def test_a_curve_that_falls_has_no_time() -> None:
    found = emergence(np.array([1.0, 2, 3, 3, 2, 1, 0.5]), STEPS)
    assert math.isnan(found.half.value)
    assert (found.highest, found.highest_time, found.decline) == (3, 20, 2.5)
    assert found.rise == pytest.approx(-0.5)
    assert math.isnan(emergence(np.zeros(7), STEPS).half.value)


def curves_with_noise(size: float, seed: int, runs: int = 120) -> np.ndarray:
    rise = 1 / (1 + np.exp(-3 * np.log2((LONG + 1e-9) / 60)))
    return rise + size * np.random.default_rng(seed).standard_normal((runs, len(LONG)))


def test_of_equal_curves_the_noisier_does_not_lead() -> None:
    """First crossings of the same curves make the noisier lead by more than that."""
    quiet, noisy = curves_with_noise(0.02, 0), curves_with_noise(0.25, 1)
    found = []
    for a, b in zip(quiet, noisy, strict=True):
        halves = [emergence(curve, LONG).half.value for curve in (a, b)]
        found.append(lead(halves[1], halves[0]))
    known = np.array([x for x in found if not math.isnan(x)])
    assert len(known) > 110
    error = known.std(ddof=1) / math.sqrt(len(known))
    assert abs(known.mean()) < 3 * error + 0.05
    assert abs((known > 0).mean() - 0.5) < 0.15
    crossings = [lead(*time_to(np.stack([b, a]), LONG)) for a, b in zip(quiet, noisy, strict=True)]
    assert np.nanmean(crossings) > 3 * error + 0.05


def test_flat_curves_are_rarely_given_a_time() -> None:
    noise = np.random.default_rng(3).standard_normal((400, 8))
    times = np.arange(8.0)
    given = np.mean([emergence(row, times).half.value > 0 for row in noise])
    assert given <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_intervals_of_times_hold_the_truth() -> None:
    truth = float(time_to(curves_with_noise(0.0, 0, 1)[0], LONG))
    halves = [emergence(row, LONG).half for row in curves_with_noise(0.1, 4)]
    held = np.mean([half.low <= truth <= half.high for half in halves])
    assert held >= 0.9


def test_a_noisy_step_that_says_so_counts_less() -> None:
    curve = curves_with_noise(0.02, 5, 1)[0]
    off = curve.copy()
    off[1:4] += 0.6
    errors = np.full(len(LONG), 0.02)
    errors[1:4] = 1.0
    exact = emergence(curve, LONG).half.value
    apart = [abs(lead(emergence(off, LONG, e).half.value, exact)) for e in (errors, None)]
    assert apart[0] < 0.3 < apart[1]


def test_times_count_from_the_first_step() -> None:
    curve = curves_with_noise(0.05, 6, 1)[0]
    first, late = (emergence(curve, LONG + start).half for start in (0.0, 100.0))
    assert late.value - 100 == pytest.approx(first.value)
    assert late.high - 100 == pytest.approx(first.high)


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
        emergence(flat, STEPS[::-1].copy())
    with pytest.raises(ValueError, match="at 6 times"):
        emergence(flat, STEPS[1:])
    with pytest.raises(ValueError, match="NaN"):
        emergence(np.full(7, math.nan), STEPS)
