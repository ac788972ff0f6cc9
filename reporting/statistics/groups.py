"""What groups of encoders differ in: means, differences, and the share that groups explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import rankdata

from reporting.statistics.estimates import LEVEL, NO_SPREAD, Estimate, quantile

ORDERS = 2000
MOST_PAIRED = 7
"""Encoders of which all pairings are taken: 5,040 of seven."""


@dataclass(frozen=True)
class Comparison:
    """Means of groups, and how much of the variance over encoders is between them.

    Attributes
    ----------
    means : dict
        Mean of every group with Student's interval from the deviation within all groups,
        ``mean ± t_{n-g} s / sqrt(n_k)``; none for a group of one, or where n = g + 1.
    share : float
        ``eta^2``, squares between groups by all squares.
    expected : float
        Mean of that share when encoders are dealt into the groups at random.
    p : float
        Share of such deals, and the observed one, with at least as large an ``eta^2``.
    """

    means: dict[str, Estimate]
    share: float
    expected: float
    p: float


def compare_groups(
    values: Float[ndarray, " n"],
    groups: Sequence[str],
    orders: int = ORDERS,
    seed: int = 0,
    level: float = LEVEL,
) -> Comparison:
    """Means of groups of encoders or families with intervals of that level, and a permutation test.

    Raises
    ------
    ValueError
        For NaN.
    """
    if np.isnan(values).any():
        raise ValueError("a value is missing: leave out the encoders that lack it, and say so")
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    parts = [values[member == i] for i in range(len(names))]
    degrees = len(values) - len(names)
    within = float(sum(((part - part.mean()) ** 2).sum() for part in parts))
    half = quantile(degrees, level) * math.sqrt(within / degrees) if degrees > 1 else math.nan
    means = {str(name): _mean(part, half) for name, part in zip(names, parts, strict=True)}
    whole = float(((values - values.mean()) ** 2).sum())
    if len(names) < 2 or len(values) <= len(names) or whole <= 1e-24:
        return Comparison(means, math.nan, math.nan, math.nan)
    onto = np.eye(len(names))[member]
    dealt = np.random.default_rng(seed).permuted(np.tile(values, (orders, 1)), axis=1)
    shares = _between(np.vstack([values, dealt]), onto) / whole
    as_large = float((shares >= shares[0] - 1e-12).mean())
    return Comparison(means, float(shares[0]), float(shares[1:].mean()), as_large)


def _mean(values: Float[ndarray, " n"], half: float) -> Estimate:
    """A group's mean; ``half`` is half the interval of a group of one."""
    mean, n = float(values.mean()), len(values)
    if n < 2 or math.isnan(half) or half <= NO_SPREAD * abs(mean):
        return Estimate(mean, n=n)
    return Estimate(mean, mean - half / math.sqrt(n), mean + half / math.sqrt(n), n)


def holm(p: Sequence[float]) -> list[float]:
    """p adjusted for all tests together: the chance of any as small where nothing is to be found.

    ``p*_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))`` for the i-th smallest of m (Holm 1979, Scand
    J Stat 6:65). NaN stays NaN and does not count among the m.
    """
    found, known = np.asarray(p, float), ~np.isnan(np.asarray(p, float))
    order = found[known].argsort(kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.minimum(1, np.maximum.accumulate(found[known][order] * factors))
    adjusted = np.empty(len(order))
    adjusted[order] = raised
    found = found.copy()
    found[known] = adjusted
    return found.tolist()


def rank_p(
    x: Float[ndarray, " n"], y: Float[ndarray, " n"], orders: int = ORDERS, seed: int = 0
) -> float:
    """Two-sided p of a Spearman correlation: share of pairings in which it is as far from 0.

    All pairings of up to seven encoders, else random ones and the observed. NaN where a side does
    not vary. (On Fisher's z, five encoders in perfect order would have a p of 0 instead of .017.)
    """
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    if not (a.any() and b.any()):
        return math.nan
    if len(b) <= MOST_PAIRED:
        dealt = np.array(list(permutations(b)))
    else:
        random = np.random.default_rng(seed).permuted(np.tile(b, (orders, 1)), axis=1)
        dealt = np.vstack([b, random])
    return float((np.abs(dealt @ a) >= abs(float(a @ b)) - 1e-9).mean())


def _between(values: Float[ndarray, "b n"], onto: Float[ndarray, "n g"]) -> Float[ndarray, " b"]:
    """Squares between groups of every row."""
    centred = values - values.mean(1, keepdims=True)
    return ((centred @ onto) ** 2 / onto.sum(0)).sum(1)


def difference(a: Float[ndarray, " n"], b: Float[ndarray, " m"], level: float = LEVEL) -> Estimate:
    """Mean of a less mean of b, with Welch's interval; n is the number of encoders of both.

    No interval where a group has one encoder, or where the values of both are all the same.
    """
    n = len(a) + len(b)
    value = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return Estimate(value, n=n)
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    error = math.sqrt(float(parts.sum()))
    if error <= NO_SPREAD * max(abs(float(a.mean())), abs(float(b.mean()))):
        return Estimate(value, n=n)
    degrees = float(parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum())
    half = quantile(degrees, level) * error
    return Estimate(value, value - half, value + half, n)


def shared_share(a: Sequence[str], b: Sequence[str]) -> float:
    """Cramér's V of two groupings: 0 where they cross evenly, 1 where one follows from the other.

    ``sqrt(chi^2 / (n (min(rows, columns) - 1)))``; NaN where either has one group.
    """
    _, left = np.unique(np.asarray(a, dtype=str), return_inverse=True)
    _, right = np.unique(np.asarray(b, dtype=str), return_inverse=True)
    table = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(table, (left, right), 1)
    least = min(table.shape) - 1
    if least < 1:
        return math.nan
    n = table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
    return math.sqrt(float(((table - expected) ** 2 / expected).sum()) / (n * least))
