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


def positive_r2(
    prediction: Float[Tensor, "*batch n v"],
    response: Float[Tensor, "*batch n v"],
    square_negative: bool = False,
) -> Float[Tensor, "*batch v"]:
    """Squared Pearson correlation over rows, 0 where it is negative or a side is constant.

    This is r², not 1 - SSE/SST (Tuckute et al. 2023; Pepino et al. 2025).

    Parameters
    ----------
    square_negative : bool
        Square negative correlations as they are (Feather et al. 2023).
    """
    p, p_flat = _centred(prediction)
    y, y_flat = _centred(response)
    norm = (p.square().sum(-2) * y.square().sum(-2)).sqrt()
    varies = (norm > 0) & ~p_flat & ~y_flat
    r = torch.where(varies, (p * y).sum(-2) / norm.clamp_min(1e-300), 0.0)
    return (r if square_negative else r.clamp_min(0)).square()


def bootstrap_ci(
    values: Float[Tensor, " n"], level: float = 0.95, n: int = 10_000, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """Percentile bootstrap interval of the mean over independent units, such as participants.

    (None, None) for fewer than two units.
    """
    if len(values) < 2:
        return None, None
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(values), (n, len(values)), generator=generator)
    means = values.cpu().double()[drawn].mean(1)
    low, high = means.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()).tolist()
    return low, high


def within_participant_sem(
    values: Float[Tensor, "conditions participants"],
) -> Float[Tensor, " conditions"]:
    """Standard error over participants once their overall level is taken away (Cousineau 2005).

    Each participant's mean over conditions (layers, models) is subtracted; then the standard
    deviation over participants divided by the square root of their number.
    """
    own = values - values.mean(0, keepdim=True)
    return own.std(1) / math.sqrt(values.shape[1])


def _centred(
    x: Float[Tensor, "*batch n v"],
) -> tuple[Float[Tensor, "*batch n v"], Bool[Tensor, "*batch v"]]:
    """Columns without their mean, and which of them hold nothing but its rounding error."""
    centred = x - x.mean(-2, keepdim=True)
    rounding = max(1e-12, 4 * torch.finfo(x.dtype).eps)
    return centred, centred.norm(dim=-2) <= rounding * x.norm(dim=-2)
