"""By how much one curve over training is later than another of the same shape."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from reporting.statistics.timing import check_curves

SHIFTS = 81
AS_GOOD = 1e-9
"""Correlations this close are the same but for rounding."""
OVERLAP = 0.5
"""Share of the axis that two shifted curves have to have in common."""


def best_shift(
    first: Float[ndarray, " t"], second: Float[ndarray, " t"], times: Float[ndarray, " t"]
) -> float:
    """The shift d at which ``first(t)`` and ``second(t + d)`` correlate best.

    Positive where the second curve is late, so that the first leads; in units of the axis. Curves
    are put onto an even axis by straight lines; shifts leave at least half of it in common; of
    several that are as good, as of straight lines, the nearest to 0 is taken; a parabola through
    the best and its two neighbours gives what lies between.

    NaN where a curve does not vary.
    """
    check_curves(np.stack([first, second]), times)
    even = np.linspace(times[0], times[-1], SHIFTS)
    a, b = np.interp(even, times, first), np.interp(even, times, second)
    most = int(OVERLAP * (SHIFTS - 1))
    shifts = np.arange(-most, most + 1)
    r = _shifted_correlations(a, b, shifts)
    if np.isnan(r).all():
        return math.nan
    as_good = np.nan_to_num(r, nan=-np.inf) >= np.nanmax(r) - AS_GOOD
    best = int(np.where(as_good, np.abs(shifts), len(shifts)).argmin())
    return float((shifts[best] + _vertex(r, best)) * (even[1] - even[0]))


def _shifted_correlations(
    a: Float[ndarray, " t"], b: Float[ndarray, " t"], shifts: ndarray
) -> Float[ndarray, " s"]:
    """Pearson's r of ``a[i]`` and ``b[i + shift]`` over what both have, for every shift."""
    other = np.arange(len(a)) + shifts[:, None]
    both = (other >= 0) & (other < len(a))
    size = both.sum(1, keepdims=True)
    x, y = np.where(both, a, 0), np.where(both, b[other.clip(0, len(a) - 1)], 0)
    x = np.where(both, x - x.sum(1, keepdims=True) / size, 0)
    y = np.where(both, y - y.sum(1, keepdims=True) / size, 0)
    scale = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return (x * y).sum(1) / np.where(scale > 1e-12, scale, math.nan)


def _vertex(values: ndarray, best: int) -> float:
    """Where a parabola through three neighbours is highest, in places from the middle one."""
    if best in (0, len(values) - 1):
        return 0.0
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    if not bend < 0:
        return 0.0
    return float(0.5 * (left - right) / bend)
