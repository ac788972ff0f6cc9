"""When curves over training rise and how high they stand; times to half that noise does not move.

The first crossing of half the rise is an extreme: noise makes it earlier, of two equal curves the
noisier seems to lead, and half of all flat curves end above their first value (``bench/times.py``).
So half is that of the isotonic fit, its bias is taken out, and a curve has a time only where its
rise is beyond its noise.

Which noise? Steps of one run are scored on the same items. What the draw of items adds moves all
steps alike and no time. The confidence interval of a row holds that part, so it is too wide for
what differs from step to step: it gives the weights of steps, and their scatter the size
(:func:`reporting.statistics.isotonic.step_noise`). An interval of a time is therefore of this run
and these items; what other seeds would give, only several runs tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from reporting.statistics.estimates import NO_SPREAD, Estimate
from reporting.statistics.isotonic import fit_isotonic, p_of_rise, step_noise

HALF = 0.5
SURE = 0.05
"""Level of the test of a rise: one in twenty flat curves is given a time."""
DRAWS = 500


@dataclass(frozen=True)
class Emergence:
    """Heights of a curve over training; times in units of the axis.

    Attributes
    ----------
    start, final, highest : float
        First, last and highest value. The highest of many is optimistic.
    highest_time : float
        When it is highest (the first time of several).
    decline : float
        Highest less last value; optimistic too.
    half : Estimate
        When the curve is half way from the start to the end of its isotonic fit, see
        :func:`half_time`; NaN where the curve is flat.
    p : float
        Of a flat curve; NaN below four steps.
    """

    start: float
    final: float
    highest: float
    highest_time: float
    decline: float
    half: Estimate
    p: float

    @property
    def rise(self) -> float:
        """Last less first value."""
        return self.final - self.start


def emergence(
    values: Float[ndarray, " t"],
    times: Float[ndarray, " t"],
    errors: Float[ndarray, " t"] | None = None,
    seed: int = 0,
) -> Emergence:
    """Start, end, highest value and time to half of a curve.

    Parameters
    ----------
    values : array of shape (times,)
        Higher is better.
    times : array of shape (times,)
        Steps or hours of audio, ascending.
    errors : array of shape (times,), optional
        Standard error of each value. Their ratios alone count: a step weighs ``1 / error²``.

    Raises
    ------
    ValueError
        For fewer than two times, times that do not ascend, or NaN.
    """
    check_curves(values, times)
    weights = _weights(values, errors)
    p = p_of_rise(values, weights)
    half = half_time(values, times, weights, seed) if p <= SURE else Estimate(math.nan)
    start, final, top = float(values[0]), float(values[-1]), int(values.argmax())
    highest = float(values[top])
    return Emergence(start, final, highest, float(times[top]), highest - final, half, p)


def _weights(
    values: Float[ndarray, " t"], errors: Float[ndarray, " t"] | None
) -> Float[ndarray, " t"]:
    """``1 / error²``, with a mean of 1; equal where an error is not known or 0."""
    if errors is None or not (np.asarray(errors) > 0).all():
        return np.ones(len(values))
    weights = 1 / np.asarray(errors, float) ** 2
    return weights / weights.mean()


def half_time(
    values: Float[ndarray, " t"],
    times: Float[ndarray, " t"],
    weights: Float[ndarray, " t"] | None = None,
    seed: int = 0,
) -> Estimate:
    """When a rising curve is half way, from the isotonic fit f, with a 95 % interval.

    ``l = log2(t - t_0)`` at which f crosses ``(f_0 + f_n) / 2``, less its bias
    ``median(l*) - l``. l* are the times of f with normal noise of the size of
    :func:`reporting.statistics.isotonic.step_noise`, itself drawn anew as
    ``s sqrt(v / chi²_v)``, v = 18/35 (n - 2), since neighbouring differences share
    steps. Interval: the middle 95 % of l*, moved so that the estimate is its median. No interval
    without noise.

    Parameters
    ----------
    weights : array of shape (times,), optional
        Inverse variances of the steps, up to a factor.
    """
    check_curves(values, times)
    w = np.ones(len(times)) if weights is None else np.asarray(weights, float)
    fit = fit_isotonic(values, w)
    elapsed = times - times[0]
    found = math.log2(float(time_to(fit, elapsed)))
    noise = step_noise(values, np.log2(1 + elapsed / elapsed[1]), w) if len(times) > 2 else 0.0
    if noise <= NO_SPREAD * float(np.ptp(fit)):
        return Estimate(float(times[0]) + 2**found, n=1)
    rng, degrees = np.random.default_rng(seed), 18 / 35 * (len(times) - 2)
    sizes = noise * np.sqrt(degrees / rng.chisquare(degrees, (DRAWS, 1)))
    drawn = fit + sizes * rng.standard_normal((DRAWS, len(times))) / np.sqrt(w)
    logs = np.log2(time_to(fit_isotonic(drawn, w), elapsed))
    low, middle, high = np.quantile(logs[~np.isnan(logs)], [0.025, 0.5, 0.975])
    last = math.log2(float(elapsed[-1]))
    ends = (2 * found - middle + np.array([0.0, low - middle, high - middle])).clip(max=last)
    value, low, high = (float(times[0]) + 2**ends).tolist()
    return Estimate(value, low, high, 1)


def time_to(
    values: Float[ndarray, "... t"], times: Float[ndarray, " t"], share: float = HALF
) -> Float[ndarray, "..."]:
    """When curves first reach ``start + share (final - start)``, with straight lines between.

    For curves that never fall: of noisy ones the first crossing is too early. NaN where the final
    value is not above the first.
    """
    check_curves(values, times)
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


def check_curves(values: Float[ndarray, "... t"], times: Float[ndarray, " t"]) -> None:
    """Raise for values and times that do not fit together."""
    if values.shape[-1] != len(times) or len(times) < 2 or np.isnan(values).any():
        raise ValueError(
            f"values of shape {values.shape} at {len(times)} times: expected a value for each of "
            "two or more times, without NaN"
        )
    if (np.diff(times) <= 0).any():
        raise ValueError("times do not ascend: sort the steps, and keep one row of each")
