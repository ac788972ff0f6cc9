"""Intervals and tests that scores are reported with."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from scipy.stats import t as student
from torch import Tensor


def mean_interval(
    values: Float[Tensor, " n"], level: float = 0.95
) -> tuple[float, float] | tuple[None, None]:
    """Student-t confidence interval of the mean of a few independent values, such as folds.

    ``mean ± t_{n-1} s / sqrt(n)``; (None, None) for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return None, None
    half = float(student.ppf((1 + level) / 2, n - 1)) * float(values.std()) / math.sqrt(n)
    mean = float(values.mean())
    return mean - half, mean + half


def positive_r2(prediction: Float[Tensor, "n v"], response: Float[Tensor, "n v"]) -> Tensor:
    """Squared Pearson correlation over rows, 0 where it is negative or a side is constant.

    This is r², not 1 - SSE/SST (Tuckute et al. 2023; Pepino et al. 2025).

    Returns
    -------
    tensor of shape (v,)
    """
    p, p_flat = _centred(prediction)
    y, y_flat = _centred(response)
    norm = (p.square().sum(0) * y.square().sum(0)).sqrt()
    varies = (norm > 0) & ~p_flat & ~y_flat
    r = torch.where(varies, (p * y).sum(0) / norm.clamp_min(1e-300), 0.0)
    return r.clamp_min(0).square()


def _centred(x: Float[Tensor, "n v"]) -> tuple[Float[Tensor, "n v"], Bool[Tensor, " v"]]:
    """Columns without their mean, and which of them hold nothing but its rounding error."""
    centred = x - x.mean(0)
    rounding = max(1e-12, 4 * torch.finfo(x.dtype).eps)
    return centred, centred.norm(dim=0) <= rounding * x.norm(dim=0)
