"""When curves over training rise, peak and decline, and which of two rises first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

HALF = 0.5
SHIFTS = 81
AS_GOOD = 1e-9
"""Correlations this close are the same but for rounding."""
OVERLAP = 0.5
"""Share of the axis that two shifted curves have to have in common."""


@dataclass(frozen=True)
class Emergence:
    """Times and heights of curves over training, an entry for each; times in units of the axis.

    Attributes
    ----------
    start, final, peak : array
        First, last and highest value.
    half : array
        When the curve first stands half way from start to final; NaN where it does not rise.
    peak_time : array
        When it is highest (the first time of several).
    decline : array
        Highest less last value.
    """

    start: Float[ndarray, "..."]
    final: Float[ndarray, "..."]
    peak: Float[ndarray, "..."]
    half: Float[ndarray, "..."]
    peak_time: Float[ndarray, "..."]
    decline: Float[ndarray, "..."]

    @property
    def rise(self) -> Float[ndarray, "..."]:
        """Last less first value."""
        return self.final - self.start


def emergence(values: Float[ndarray, "... t"], times: Float[ndarray, " t"]) -> Emergence:
    """Start, end, peak and time to half of the final rise of curves.

    Parameters
    ----------
    values : array of shape (…, times)
        Higher is better.
    times : array of shape (times,)
        Steps or hours of audio, ascending.

    Raises
    ------
    ValueError
        For fewer than two times, times that do not ascend, or NaN.
    """
    _check(values, times)
    start, final, peak = values[..., 0], values[..., -1], values.max(-1)
    half = time_to(values, times, HALF)
    return Emergence(start, final, peak, half, times[values.argmax(-1)], peak - final)


def time_to(
    values: Float[ndarray, "... t"], times: Float[ndarray, " t"], share: float = HALF
) -> Float[ndarray, "..."]:
    """When curves first reach ``start + share (final - start)``, with straight lines between.

    NaN where the final value is not above the first.
    """
    _check(values, times)
    start, final = values[..., :1], values[..., -1:]
    level = start + share * (final - start)
    reached = values >= level - 1e-12 * np.abs(level)
    after = np.clip(reached.argmax(-1), 1, None)[..., None]
    low, high = (np.take_along_axis(values, place, -1) for place in (after - 1, after))
    step = np.where(high > low, high - low, 1)
    part = np.clip((level - low) / step, 0, 1)[..., 0]
    begin, end = times[after[..., 0] - 1], times[after[..., 0]]
    return np.where((final > start)[..., 0], begin + part * (end - begin), math.nan)


def lead(first: float, second: float) -> float:
    """How many doublings of training later the second time is: ``log2(second / first)``.

    Positive where the first comes first; NaN where either is missing or at time 0.
    """
    if not (first > 0 and second > 0):
        return math.nan
    return math.log2(second / first)


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
    _check(np.stack([first, second]), times)
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


def _check(values: Float[ndarray, "... t"], times: Float[ndarray, " t"]) -> None:
    if values.shape[-1] != len(times) or len(times) < 2 or np.isnan(values).any():
        raise ValueError(
            f"values of shape {values.shape} at {len(times)} times: expected a value for each of "
            "two or more times, without NaN"
        )
    if (np.diff(times) <= 0).any():
        raise ValueError("times do not ascend: sort the steps, and keep one row of each")
