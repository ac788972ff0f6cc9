"""Do metrics rank encoders alike."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import rankdata

from alignment.inference import kendall_w
from reporting.comparison.estimates import Estimate, jackknife

ORDERS = 2000


def concordance(values: Float[ndarray, "metrics n"], seed: int = 0) -> tuple[Estimate, float]:
    """Kendall's W of metrics that rate the same encoders, and its permutation p.

    ``W = 1/m + (m - 1)/m mean rho`` over pairs of m metrics when nothing is tied, so that its
    interval is the jackknife over encoders of the mean Spearman correlation, on Fisher's z.

    Parameters
    ----------
    values : array of shape (metrics, encoders)
        Higher is better, without NaN.
    """
    m, n = values.shape
    found = kendall_w(torch.from_numpy(np.array(values, float)), ORDERS, seed)
    rest = [np.delete(values, i, axis=1) for i in range(n)]
    without = np.array([_mean_rho(part) for part in rest]) if n > 3 else np.full(n, math.nan)
    rho = jackknife(_mean_rho(values), without, correlation=True)
    low, high = ((1 + (m - 1) * end) / m for end in (rho.low, rho.high))
    return Estimate(found.w, low, high, n), math.nan if found.p is None else found.p


def _mean_rho(values: Float[ndarray, "metrics n"]) -> float:
    """Mean Spearman correlation over pairs of rows; of rows that do not vary, 0."""
    place = rankdata(values, axis=1)
    place = place - place.mean(1, keepdims=True)
    scale = np.sqrt((place**2).sum(1, keepdims=True))
    unit = place / np.where(scale > 0, scale, 1)
    m = len(values)
    return float(((unit.sum(0) ** 2).sum() - (unit**2).sum()) / (m * (m - 1)))
