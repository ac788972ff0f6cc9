"""Correlations over encoders or families with intervals, plain and partial.

Intervals were chosen by their coverage over 600 simulated tables of 12 or 36 encoders (normal,
Student's t of 5 degrees, lognormal, and normal with a quarter of weak encoders far below):

====================================================  =============  =============
method                                                Pearson        Spearman
====================================================  =============  =============
Fisher's z, s = 1/sqrt(n-3) (Spearman: Bonett-Wright)  .85 to .95     .94 to .97
percentile bootstrap                                  .88 to .94     .95 to .98
BCa bootstrap                                         .90 to .95     .93 to .98
bootstrap studentised on z                            .86 to .95     .94 to .98
bootstrap deviation of z times Student's t            .92 to .96     .94 to 1.00
====================================================  =============  =============

So Pearson takes the last. Spearman takes Bonett & Wright, which has an interval of every level
without more draws: of 4,000 normal tables of 5 to 36 and correlations of 0 to .9, 95 % intervals
hold the truth in .95 to 1.00 and those of 98.75 % in .983 to 1.00, of a correlation of .98 in .91
to .97 and .97 to .99. ``tests/reporting/report/test_coverage.py`` measures the coverage of both
again. Of fewer than eight encoders so many draws hold two encoders only, whose correlation is 1,
that the deviation of z depends on where 1 is cut: intervals were -1 to 1 for five encoders whatever
their correlation. Half the width of the middle 68 % of z holds the truth in .95 to 1.00 of 400
tables of 5, 6 and 7 encoders of each kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm, rankdata

from reporting.statistics.estimates import (
    LEVEL,
    Estimate,
    fisher,
    quantile,
)

Method = Literal["pearson", "spearman"]
DRAWS = 2000
FEWEST = 5
"""Encoders below which a correlation has no interval."""
MANY = 8
"""Encoders from which on the deviation over draws is that of z, not of its middle."""
MIDDLE = (0.158655, 0.841345)
"""Quantiles one deviation below and above the mean of a normal variable."""


@dataclass(frozen=True)
class LeftOut:
    """A correlation without each family in turn.

    Attributes
    ----------
    low, high : float
        The lowest and the highest of them: a range, not an interval of stated coverage.
    lowest : str
        The family without which it is lowest.
    few : tuple of str
        Families without which fewer than five encoders are left, so that they stay.
    """

    low: float
    high: float
    lowest: str
    few: tuple[str, ...] = ()


def correlation(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    method: Method = "pearson",
    given: Float[ndarray, "k n"] | None = None,
) -> float:
    """Correlation of x and y, ``given`` held constant.

    The partial correlation is that of the residuals of x and y after least squares on ``given``
    with an intercept, made by ``r_xy.g = (r_xy - r_xg r_yg) / sqrt((1 - r_xg^2)(1 - r_yg^2))``
    one after the other; Spearman's takes ranks first. NaN where a side does not vary.
    """
    data = _stack(x, y, given)
    data = rankdata(data, axis=1) if method == "spearman" else data
    return float(_partial(_weight(data, np.ones((1, data.shape[1]))))[0])


def correlate(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    method: Method = "pearson",
    given: Float[ndarray, "k n"] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """As :func:`correlation`, with an interval over encoders.

    Pearson: ``tanh(z ± t_{n-2-k} s)``, s the deviation of z over bootstrap draws, below eight
    encoders half the width of its middle 68 %. Spearman:
    ``tanh(z ± q sqrt((1 + r^2 / 2) / (n - k - 3)))`` (Bonett & Wright 2000); of a perfect order, z
    and r are those when two neighbours have changed places. No interval for fewer than 5 + k
    encoders.

    Raises
    ------
    ValueError
        For NaN.
    """
    data = _stack(x, y, given)
    value, n, held = correlation(x, y, method, given), len(x), len(data) - 2
    if n < FEWEST + held or math.isnan(value):
        return Estimate(value, n=n)
    if method == "spearman":
        return _of_ranks(value, n, held, level)
    drawn = _partial(_weight(data, bootstrap_counts(n, draws, seed)))
    half = quantile(n - 2 - held, level) * _spread(fisher(drawn[~np.isnan(drawn)]), n)
    low, high = np.tanh(fisher(value) - half), np.tanh(fisher(value) + half)
    return Estimate(value, float(low), float(high), n)


def _of_ranks(value: float, n: int, held: int, level: float) -> Estimate:
    fault = 1 - 12 / (n * (n**2 - 1))  # 1 - 6 sum d^2 / (n (n^2 - 1)), both d being 1
    cut = min(max(value, -fault), fault)
    half = norm.ppf((1 + level) / 2) * math.sqrt((1 + cut**2 / 2) / (n - held - 3))
    low, high = math.tanh(math.atanh(cut) - half), math.tanh(math.atanh(cut) + half)
    return Estimate(value, min(low, value), max(high, value), n)


def _spread(z: Float[ndarray, " b"], n: int) -> float:
    if n >= MANY:
        return float(z.std())
    low, high = np.quantile(z, MIDDLE)
    return float(high - low) / 2


@lru_cache(maxsize=64)
def bootstrap_counts(n: int, draws: int, seed: int) -> Float[ndarray, "draws n"]:
    """How often each of n encoders stands in each draw with replacement; not to be written to."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws).astype(float)
    counts.setflags(write=False)
    return counts


def without_each_family(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    families: Sequence[str],
    method: Method = "pearson",
    given: Float[ndarray, "k n"] | None = None,
) -> LeftOut:
    """The correlation over encoders of all families but one, for each of them.

    Of fewer than five encoders nothing is said: two of them correlate at 1.
    """
    labels = np.asarray(families, dtype=object)
    names = list(dict.fromkeys(families))
    if len(names) < 2:
        return LeftOut(math.nan, math.nan, "")
    kept = [labels != name for name in names]
    held = [None if given is None else given[:, keep] for keep in kept]
    parts = [
        correlation(x[keep], y[keep], method, part) if keep.sum() >= FEWEST else math.nan
        for keep, part in zip(kept, held, strict=True)
    ]
    few = tuple(str(name) for name, keep in zip(names, kept, strict=True) if keep.sum() < FEWEST)
    left = np.array(parts)
    if np.isnan(left).all():
        return LeftOut(math.nan, math.nan, "", few)
    lowest = names[int(np.nanargmin(left))]
    return LeftOut(float(np.nanmin(left)), float(np.nanmax(left)), lowest, few)


def _stack(
    x: Float[ndarray, " n"], y: Float[ndarray, " n"], given: Float[ndarray, "k n"] | None
) -> Float[ndarray, "v n"]:
    data = np.vstack([x, y, *([] if given is None else given)]).astype(float)
    if np.isnan(data).any():
        raise ValueError(
            f"{int(np.isnan(data).any(0).sum())} of {data.shape[1]} encoders have a missing value: "
            "leave them out, and say so"
        )
    return data


def _weight(data: Float[ndarray, "v n"], counts: Float[ndarray, "b n"]) -> Float[ndarray, "b v v"]:
    """Correlation matrices of draws in which encoder i stands ``counts[b, i]`` times.

    NaN where a variable does not vary.
    """
    scale = data.std(1, keepdims=True)
    data = (data - data.mean(1, keepdims=True)) / np.where(scale > 0, scale, 1)
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ data.T
    pairs = (data[:, None] * data[None]).reshape(-1, data.shape[1])
    square = (share @ pairs.T).reshape(len(counts), len(data), len(data))
    return _normalise(square - mean[:, :, None] * mean[:, None, :])


def _normalise(cov: Float[ndarray, "b v v"]) -> Float[ndarray, "b v v"]:
    scale = np.sqrt(np.clip(np.diagonal(cov, axis1=1, axis2=2), 0, None))
    scale = np.where(scale > 1e-9, scale, math.nan)
    return cov / (scale[:, :, None] * scale[:, None, :])


def _partial(r: Float[ndarray, "b v v"]) -> Float[ndarray, " b"]:
    """Correlation of the first two variables, all others held constant one after the other."""
    while r.shape[1] > 2:
        last, r = r[:, :-1, -1], r[:, :-1, :-1]
        left = np.sqrt(np.clip(1 - last**2, 0, None))
        left = np.where(left > 1e-6, left, math.nan)
        r = (r - last[:, :, None] * last[:, None, :]) / (left[:, :, None] * left[:, None, :])
    return np.clip(r[:, 0, 1], -1, 1)
