"""How well one score stands for another where encoders are to be ranked or picked."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaln

from reporting.comparison.estimates import Estimate, jackknife


def order_accuracy(score: Float[ndarray, " n"], truth: Float[ndarray, " n"]) -> Estimate:
    """Share of pairs that the score puts into the order of the truth.

    Pairs of equal truth do not count, pairs of equal score count half. Without ties this is
    ``(1 + tau_a) / 2``. Interval: jackknife over encoders, cut at 0 and 1; it holds the share of
    normal pairs of correlation 0 to .97 in .94 to .96 of samples of 12 or 36, and is too narrow
    for fewer than ten encoders whose order is nearly perfect (on Fisher's z it is .95 to 1.00).
    """
    _check(score, truth)
    right, pairs = _agreement(score, truth)
    whole = float(pairs.sum())
    if whole == 0:
        return Estimate(math.nan, n=len(score))
    value = float(right.sum()) / whole
    left = whole - 2 * pairs.sum(1)
    without = (float(right.sum()) - 2 * right.sum(1)) / np.where(left > 0, left, math.nan)
    found = jackknife(value, without)
    low, high = np.clip([found.low, found.high], 0, 1)
    return Estimate(value, float(low), float(high), len(score))


def _agreement(
    score: Float[ndarray, " n"], truth: Float[ndarray, " n"]
) -> tuple[Float[ndarray, "n n"], Float[ndarray, "n n"]]:
    """Of every pair: how far it is in the right order, and whether it counts."""
    side = np.sign(truth[:, None] - truth)
    pairs = (side != 0).astype(float)
    return pairs * (1 + np.sign(score[:, None] - score) * side) / 2, pairs


def regret(
    score: Float[ndarray, " n"], truth: Float[ndarray, " n"], among: int | None = None
) -> Estimate:
    """What is lost by taking the encoder with the highest score instead of the best.

    The mean, over all sets of ``among`` encoders, of the highest truth of the set less the truth
    of the one whose score is highest (of several, any with the same chance). The encoder with
    the i-th smallest score is the highest of ``C(i - 1, k - 1)`` of the ``C(n, k)`` sets.
    Interval: jackknife over encoders of its cube root, for its skew (700 normal tables of 12 and
    36 encoders, five at random: .94 and .95; without the root .88 and .92); none where ``among``
    is not given and all are one set.

    Raises
    ------
    ValueError
        If there are fewer encoders than ``among``, or a value is NaN.
    """
    _check(score, truth)
    n = len(score)
    size = n if among is None else among
    if not 1 <= size <= n:
        raise ValueError(f"regret among {size} of {n} encoders: choose from 1 to {n}")
    value = float(_regret(score[None], truth[None], size)[0])
    if size > n - 1:
        return Estimate(value, n=n)
    rest = np.array([np.delete(np.arange(n), i) for i in range(n)])
    without = np.cbrt(_regret(score[rest], truth[rest], size).clip(0))
    found = jackknife(float(np.cbrt(max(value, 0.0))), without)
    return Estimate(value, max(found.low, 0.0) ** 3, found.high**3, n)


def _regret(
    score: Float[ndarray, "b n"], truth: Float[ndarray, "b n"], size: int
) -> Float[ndarray, " b"]:
    best = (_highest_share(truth, size) * truth).sum(1)
    return best - (_highest_share(score, size) * truth).sum(1)


def _highest_share(values: Float[ndarray, "b n"], size: int) -> Float[ndarray, "b n"]:
    """Share of all sets of ``size`` in which each is the highest; equals share what they have."""
    n = values.shape[1]
    place = np.arange(1, n + 1)
    possible = place >= size
    log = gammaln(place) - gammaln(np.where(possible, place - size + 1, 1)) - gammaln(size)
    whole = gammaln(n + 1) - gammaln(size + 1) - gammaln(n - size + 1)
    up_to = np.concatenate([[0.0], np.cumsum(np.where(possible, np.exp(log - whole), 0))])
    below = (values[:, None, :] < values[:, :, None]).sum(2)
    equal = (values[:, None, :] == values[:, :, None]).sum(2)
    return (up_to[below + equal] - up_to[below]) / equal


def _check(score: Float[ndarray, " n"], truth: Float[ndarray, " n"]) -> None:
    missing = np.isnan(score) | np.isnan(truth)
    if len(score) < 2 or missing.any():
        raise ValueError(
            f"{len(score)} encoders, {int(missing.sum())} with a missing value: expected two or "
            "more, without NaN"
        )
