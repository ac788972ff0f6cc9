"""Intervals and tests that scores are reported with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student
from torch import Tensor

from alignment.clusters import cluster_test as cluster_test
from alignment.nulls import NullTest
from alignment.rsa import ranks

Interval = tuple[float, float] | tuple[None, None]


def mean_interval(
    values: Float[Tensor, " n"], level: float = 0.95, groups: Int[Tensor, " n"] | None = None
) -> Interval:
    """Student-t confidence interval of the mean of a few independent values, such as folds.

    ``mean ± t_{g-1} s``, with g groups (by default every value is one) and
    ``s² = g / (g - 1) sum_groups (sum_i (x_i - mean))² / n²``, which for groups of one is the
    variance over n. (None, None) for fewer than two groups.
    """
    own = torch.arange(len(values)) if groups is None else groups
    variance, count = _group_variance(values.double(), own.to(values.device))
    return _student(float(values.double().mean()), variance, count, level)


def crossed_interval(
    values: Float[Tensor, "n subjects"], groups: Int[Tensor, " n"], level: float = 0.95
) -> Interval:
    """Interval of a mean over subjects and groups of rows (sentences) that are both random.

    For a claim about other people *and* other sentences. The variance is that of subjects plus
    that of sentences less that of single values (Cameron, Gelbach & Miller 2011, J Bus Econ Stat
    29:238, two-way clusters), not below the larger of the first two; Student's t with the smaller
    number of units.

    Parameters
    ----------
    values : tensor of shape (n, subjects)
    groups : tensor of shape (n,)
        Sentence of each row.
    """
    mean, variance, count = _crossed_variance(values, groups)
    return _student(mean, variance, count, level)


def crossed_p(values: Float[Tensor, "n subjects"], groups: Int[Tensor, " n"]) -> float:
    """One-sided p of a mean over subjects and groups of rows not being above 0.

    Student's t by the variance of :func:`crossed_interval`; of one subject, by that of the groups.
    1 where there are fewer than two units, or nothing varies and the mean is not above 0.
    """
    if values.shape[1] == 1:
        mean = float(values.double().mean())
        variance, count = _group_variance(values[:, 0].double(), groups.to(values.device))
    else:
        mean, variance, count = _crossed_variance(values, groups)
    if count < 2 or (variance <= 0 and mean <= 0):
        return 1.0
    return float(student.sf(mean / math.sqrt(variance), count - 1)) if variance > 0 else 0.0


def _crossed_variance(values: Tensor, groups: Tensor) -> tuple[float, float, int]:
    """Mean, its variance over subjects and groups that are both random, and the fewer units."""
    n, people = values.shape
    flat = values.double().flatten()
    _, sentence = groups.to(values.device).unique(return_inverse=True)
    subject = torch.arange(people, device=values.device).expand(n, -1).flatten()
    both = sentence[:, None] * people + torch.arange(people, device=values.device)
    found = [
        _group_variance(flat, g)
        for g in (subject, sentence[:, None].expand(-1, people).flatten(), both.flatten())
    ]
    (a, subjects), (b, sentences), (c, _) = found
    return float(flat.mean()), max(a + b - c, a, b), min(subjects, sentences)


def _group_variance(values: Tensor, groups: Tensor) -> tuple[float, int]:
    """Variance of the mean over independent groups, and their number."""
    _, place = groups.unique(return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if count < 2:
        return math.nan, count
    sums = values.new_zeros(count).index_add_(0, place, values - values.mean())
    return float(sums.square().sum()) * count / (count - 1) / len(values) ** 2, count


def _student(mean: float, variance: float, count: int, level: float) -> Interval:
    if count < 2:
        return None, None
    half = float(student.ppf((1 + level) / 2, count - 1)) * math.sqrt(variance)
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
    values: Float[Tensor, " n"],
    level: float = 0.95,
    n: int = 10_000,
    seed: int = 0,
    groups: Int[Tensor, " n"] | None = None,
) -> tuple[float, float] | tuple[None, None]:
    """Percentile bootstrap interval of the mean over independent units, such as participants.

    (None, None) for fewer than two units.

    Parameters
    ----------
    groups : tensor of shape (n,), optional
        Number of the unit of each value, such as the sentence of each piece: the values of a unit
        are drawn together, and each draw is the mean over all that it holds.
    """
    member = torch.arange(len(values)) if groups is None else groups.unique(return_inverse=True)[1]
    units = int(member.max()) + 1 if len(values) else 0
    if units < 2:
        return None, None
    sums = torch.zeros(2, units, dtype=torch.float64)
    known = values.cpu().double()
    sums.index_add_(1, member, torch.stack([known, torch.ones_like(known)]))
    total, size = (unit_counts(units, n, seed) @ sums.T).T
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (total / size).quantile(tails).tolist()
    return low, high


def percentile_interval(draws: Float[Tensor, " n"]) -> tuple[float, float]:
    """The range that holds the middle 95 % of draws."""
    low, high = draws.quantile(torch.tensor([0.025, 0.975], dtype=draws.dtype)).tolist()
    return low, high


def unit_counts(units: int, n: int, seed: int) -> Float[Tensor, "n units"]:
    """How often each unit is drawn, in ``n`` samples with replacement."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(units, (n, units), generator=generator)
    counts = torch.zeros(n, units, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(counts))


def within_participant_sem(
    values: Float[Tensor, "conditions participants"],
) -> Float[Tensor, " conditions"]:
    """Standard error over participants once their overall level is removed (Cousineau 2005).

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


def fdr_bh(p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
    """p-values adjusted for the false discovery rate over the last axis.

    ``p*_(i) = min_{j >= i} min(1, m p_(j) / j)`` for the i-th smallest of m (Benjamini &
    Hochberg 1995). NaN stays NaN and does not count among the m.
    """
    missing = p.isnan()
    if bool(((p < 0) | (p > 1)).any()):
        raise ValueError("p-values outside of 0 to 1")
    ordered, order = torch.where(missing, torch.inf, p).sort(-1)
    place = torch.arange(1, p.shape[-1] + 1, device=p.device, dtype=p.dtype)
    tests = (~missing).sum(-1, keepdim=True)
    least = (ordered * tests / place).flip(-1).cummin(-1).values.flip(-1).clamp_max(1)
    return torch.where(missing, torch.nan, torch.empty_like(p).scatter(-1, order, least))


@dataclass(frozen=True)
class Concordance:
    """How far raters, such as metrics, rank the same items, such as models, alike.

    Attributes
    ----------
    w : float
        Kendall's coefficient of concordance, from 0 to 1; about 1 / raters by chance.
    p : float or None
        Share of draws with as large a W when each rater's ratings are shuffled; None if not
        asked for, or if W is NaN because every rating is tied.
    tau : tensor of shape (raters, raters)
        Kendall's tau-b between raters.
    """

    w: float
    p: float | None
    tau: Float[Tensor, "raters raters"]


def kendall_w(ratings: Float[Tensor, "raters items"], n: int = 0, seed: int = 0) -> Concordance:
    """Kendall's W of m raters of k items (Kendall & Babington Smith 1939), and pairwise tau-b.

    ``W = 12 S / (m^2 (k^3 - k) - m sum_raters sum_ties (t^3 - t))``, S the sum of squared
    deviations of the rank sums of the items, t the sizes of groups of tied ratings.

    Parameters
    ----------
    n : int
        Draws for the p-value; none by default.

    Raises
    ------
    ValueError
        For fewer than two raters or items, or a rating that is NaN.
    """
    m, k = ratings.shape
    if m < 2 or k < 2 or bool(ratings.isnan().any()):
        raise ValueError(f"ratings of shape ({m}, {k}): expected two or more of each, without NaN")
    place = ranks(ratings.cpu().double())
    place = place - place.mean(1, keepdim=True)
    # The squared deviations of one rater are (k^3 - k - sum_ties (t^3 - t)) / 12.
    most = m * place.square().sum()
    w = place.sum(0).square().sum() / most
    p = None
    if n and most > 0:
        generator = torch.Generator().manual_seed(seed)
        orders = torch.rand(n, m, k, generator=generator).argsort(2)
        null = place.expand(n, m, k).gather(2, orders).sum(1).square().sum(1) / most
        p = float(NullTest.upper(w - 1e-12, null).p)
    side = (place[:, :, None] - place[:, None, :]).sign().flatten(1)
    pairs = side.square().sum(1)
    return Concordance(float(w), p, side @ side.T / (pairs[:, None] * pairs).sqrt())
