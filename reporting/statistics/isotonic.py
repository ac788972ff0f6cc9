"""Curves that only rise, fitted to noisy ones, and whether there is a rise beyond noise."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NULLS = 4000
FEWEST = 4
"""Steps below which no order is rare: three fall in ascending order in one of six cases."""


def fit_isotonic(
    values: Float[ndarray, "... t"], weights: Float[ndarray, " t"] | None = None
) -> Float[ndarray, "... t"]:
    """The curve that never falls with the least weighted squares from the values.

    ``f_i = max_{a <= i} min_{b >= i} mean(a … b)``, the weighted mean of the values from a to b
    (Robertson, Wright & Dykstra 1988, Order Restricted Statistical Inference, theorem 1.4.4).
    """
    count = values.shape[-1]
    w = np.ones(count) if weights is None else np.asarray(weights, float)
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), (values * w).cumsum(-1)], -1)
    sizes = np.concatenate([[0.0], w.cumsum()])
    first, last = np.arange(count)[:, None], np.arange(count)[None]
    inside = last >= first
    total = sums[..., None, 1:] - sums[..., :-1, None]
    means = np.where(inside, total / np.where(inside, sizes[1:] - sizes[:-1, None], 1), np.inf)
    lowest = np.minimum.accumulate(means[..., ::-1], -1)[..., ::-1]
    return np.where(inside, lowest, -np.inf).max(-2)


def share_of_rise(
    values: Float[ndarray, "... t"], weights: Float[ndarray, " t"] | None = None
) -> Float[ndarray, "..."]:
    """Share of the weighted variance that :func:`fit_isotonic` explains, from 0 to 1.

    The statistic E-bar² of Barlow, Bartholomew, Bremner & Brunk (1972). 0 of a constant.
    """
    w = np.ones(values.shape[-1]) if weights is None else np.asarray(weights, float)
    mean = (values * w).sum(-1, keepdims=True) / w.sum()
    whole = (w * (values - mean) ** 2).sum(-1)
    risen = (w * (fit_isotonic(values, w) - mean) ** 2).sum(-1)
    rounding = 1e-24 * (w * values**2).sum(-1)
    return np.where(whole > rounding, risen / np.where(whole > rounding, whole, 1), 0.0)


def p_of_rise(values: Float[ndarray, " t"], weights: Float[ndarray, " t"] | None = None) -> float:
    """One-sided p of a flat curve with normal, independent errors of one unknown size.

    Share of 4,000 flat curves with as large a :func:`share_of_rise`. The size of the errors
    cancels. NaN below four values. Errors of neighbouring steps that correlate make it too
    small (``bench/times.py``).
    """
    if len(values) < FEWEST:
        return math.nan
    w = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    null = _null(tuple(float(f"{x:.2g}") for x in w / w.mean()))
    as_large = int((null >= float(share_of_rise(values, w)) - 1e-12).sum())
    return (1 + as_large) / (1 + len(null))


@lru_cache(maxsize=256)
def _null(weights: tuple[float, ...]) -> Float[ndarray, " draws"]:
    """:func:`share_of_rise` of flat curves; errors are larger where weights are smaller."""
    w = np.array(weights)
    noise = np.random.default_rng(0).standard_normal((NULLS, len(w))) / np.sqrt(w)
    # A batch holds draws × steps² means.
    size = max(1, 2_000_000 // len(w) ** 2)
    parts = [share_of_rise(noise[k : k + size], w) for k in range(0, NULLS, size)]
    return np.concatenate(parts)


def step_noise(
    values: Float[ndarray, " t"],
    places: Float[ndarray, " t"],
    weights: Float[ndarray, " t"] | None = None,
) -> float:
    """Standard deviation of what differs from one step to the next, of a step of weight 1.

    Each value less the straight line between its neighbours, over the deviation that this has
    when each step's is 1 (Gasser, Sroka & Jennen-Steinmetz 1986, Biometrika 73:625). Residuals of
    the isotonic fit would be 0 wherever noise happens to ascend. A bend of the curve counts as
    noise, so that it is rather too large than too small.
    """
    w = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    left = (places[2:] - places[1:-1]) / (places[2:] - places[:-2])
    off = left * values[:-2] + (1 - left) * values[2:] - values[1:-1]
    size = left**2 / w[:-2] + (1 - left) ** 2 / w[2:] + 1 / w[1:-1]
    return math.sqrt(float((off**2 / size).mean()))
