"""Correlations of every score with every task, each over the encoders that have both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from reporting.statistics.correlations import FEWEST, MANY, Method, bootstrap_counts, correlate
from reporting.statistics.estimates import LEVEL, fisher

DRAWS = 1000
AT_ONCE = 2_000
"""Cells whose draws are held in memory together: 16 MB for each of six sums."""


@dataclass(frozen=True)
class Matrix:
    """Correlations of scores (rows) and tasks (columns), with intervals and numbers of encoders."""

    value: Float[ndarray, "a t"]
    low: Float[ndarray, "a t"]
    high: Float[ndarray, "a t"]
    n: Int[ndarray, "a t"]


def correlation_matrix(
    x: Float[ndarray, "n a"],
    y: Float[ndarray, "n t"],
    method: Method = "pearson",
    draws: int = DRAWS,
    seed: int = 0,
) -> Matrix:
    """Correlation of every column of x with every column of y, over rows that have both.

    Intervals: Pearson, ``tanh(z ± t_{n-2} s)``, s the deviation of z over bootstrap draws of
    encoders, and of pairs that fewer than eight have as in :func:`correlate`; Spearman,
    ``tanh(z ± 1.96 sqrt((1 + r^2 / 2) / (n - 3)))`` (Bonett & Wright 2000).
    Missing below 5 encoders.

    Parameters
    ----------
    x, y : array of shape (encoders, scores) and (encoders, tasks)
        NaN where an encoder lacks a score.
    """
    known = (~np.isnan(x)).astype(float), (~np.isnan(y)).astype(float)
    n = np.rint(known[0].T @ known[1]).astype(int)
    if method == "spearman":
        value = _spearman(x, y)
        spread = np.sqrt((1 + value**2 / 2) / np.clip(n - 3, 1, None))
        half = norm.ppf((1 + LEVEL) / 2) * spread
    else:
        value = _pearson(x, y, np.ones((1, len(x))))[0]
        half = student.ppf((1 + LEVEL) / 2, np.clip(n - 2, 1, None)) * _spread(x, y, draws, seed)
    half = np.where(n >= FEWEST, half, math.nan)
    z = fisher(value)
    found = Matrix(value, np.tanh(z - half), np.tanh(z + half), n)
    if method == "pearson":
        _of_few(found, x, y, draws, seed)
    return found


def _of_few(
    found: Matrix, x: Float[ndarray, "n a"], y: Float[ndarray, "n t"], draws: int, seed: int
) -> None:
    """Write the intervals of pairs that few encoders have."""
    for i, j in np.argwhere((found.n >= FEWEST) & (found.n < MANY)):
        both = ~np.isnan(x[:, i]) & ~np.isnan(y[:, j])
        one = correlate(x[both, i], y[both, j], draws=draws, seed=seed)
        found.low[i, j], found.high[i, j] = one.low, one.high


def _spread(
    x: Float[ndarray, "n a"], y: Float[ndarray, "n t"], draws: int, seed: int
) -> Float[ndarray, "a t"]:
    """Deviation over draws of Fisher's z, some scores at a time."""
    counts = bootstrap_counts(len(x), draws, seed)
    step = max(1, AT_ONCE // y.shape[1])
    starts = range(0, x.shape[1], step)
    parts = [_pearson(x[:, start : start + step], y, counts) for start in starts]
    with np.errstate(invalid="ignore"):
        return np.concatenate([_deviation(fisher(part)) for part in parts])


def _deviation(values: Float[ndarray, "b a t"]) -> Float[ndarray, "a t"]:
    known = ~np.isnan(values)
    n = known.sum(0)
    mean = np.where(known, values, 0).sum(0) / np.clip(n, 1, None)
    square = np.where(known, (values - mean) ** 2, 0).sum(0) / np.clip(n, 1, None)
    return np.where(n > 1, np.sqrt(square), math.nan)


def _pearson(
    x: Float[ndarray, "n a"], y: Float[ndarray, "n t"], counts: Float[ndarray, "b n"]
) -> Float[ndarray, "b a t"]:
    """Pearson's r of every draw: sums over encoders that have both are products of matrices."""
    one_x, one_y = ~np.isnan(x), ~np.isnan(y)
    x, y = _standard(x), _standard(y)

    def total(left: ndarray, right: ndarray) -> ndarray:
        pairs = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
        return (counts @ pairs).reshape(len(counts), left.shape[1], right.shape[1])

    size = np.clip(total(one_x, one_y), 1e-300, None)
    mean_x, mean_y = total(x, one_y) / size, total(one_x, y) / size
    var_x = total(x**2, one_y) / size - mean_x**2
    var_y = total(one_x, y**2) / size - mean_y**2
    norm_ = np.sqrt(np.clip(var_x, 0, None) * np.clip(var_y, 0, None))
    varies = (var_x > 1e-12) & (var_y > 1e-12)
    r = (total(x, y) / size - mean_x * mean_y) / np.where(varies, norm_, math.nan)
    return np.clip(r, -1, 1)


def _standard(x: Float[ndarray, "n a"]) -> Float[ndarray, "n a"]:
    """Columns with mean 0 and deviation 1 over what is known, 0 where it is not."""
    known = ~np.isnan(x)
    n = np.clip(known.sum(0), 1, None)
    x = np.where(known, x - np.where(known, x, 0).sum(0) / n, 0)
    scale = np.sqrt((x**2).sum(0) / n)
    return x / np.where(scale > 0, scale, 1)


def _spearman(x: Float[ndarray, "n a"], y: Float[ndarray, "n t"]) -> Float[ndarray, "a t"]:
    """Spearman's r, one task after the other: ranks are those among the encoders that have both."""
    columns = []
    for task in y.T:
        both = ~np.isnan(x) & ~np.isnan(task)[:, None]
        place = rankdata(np.where(both, x, math.nan), axis=0, nan_policy="omit")
        other = rankdata(np.where(both, task[:, None], math.nan), axis=0, nan_policy="omit")
        place, other = _standard(place), _standard(other)
        n = np.clip(both.sum(0), 1, None)
        varies = (place.any(0)) & (other.any(0))
        columns.append(np.where(varies, (place * other).sum(0) / n, math.nan))
    return np.clip(np.stack(columns, 1), -1, 1)
