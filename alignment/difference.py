"""Is one prediction of the same responses better than another, over stimuli?"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.inference import unit_counts
from alignment.nulls import NullTest
from alignment.rsa import ranks


def r2_difference(
    a: Float[Tensor, "n v"], b: Float[Tensor, "n v"], y: Float[Tensor, "n v"]
) -> Float[Tensor, " v"]:
    """``r²(a, y) - r²(b, y)``, negative correlations counting as 0."""
    every = torch.ones(1, len(y), dtype=torch.float64, device=y.device)
    return (_positive_r2(every, a, y) - _positive_r2(every, b, y))[0]


def swap_test(
    a: Float[Tensor, "n v"],
    b: Float[Tensor, "n v"],
    y: Float[Tensor, "n v"],
    n: int = 10_000,
    seed: int = 0,
) -> NullTest:
    """Two-sided test of :func:`r2_difference` by swapping both predictions of random stimuli.

    Under the null hypothesis it does not matter which encoder predicted a stimulus. Predictions
    are z-scored first, so that their units do not matter either. All targets of a stimulus are
    swapped together.
    """
    generator = torch.Generator().manual_seed(seed)
    a, b, y = (_standard(x) for x in (a, b, y))
    swap = torch.randint(2, (n, len(y)), generator=generator).to(y)
    first = _positive_r2_of_sums(len(y), *_mixed_sums(swap, a, b, y))
    second = _positive_r2_of_sums(len(y), *_mixed_sums(swap, b, a, y))
    return NullTest.two_sided(r2_difference(a, b, y), first - second)


def bootstrap_r2_difference(
    a: Float[Tensor, "n v"],
    b: Float[Tensor, "n v"],
    y: Float[Tensor, "n v"],
    n: int = 10_000,
    seed: int = 0,
) -> Float[Tensor, "draws v"]:
    """:func:`r2_difference` over stimuli drawn with replacement."""
    counts = unit_counts(len(y), n, seed).to(y.device)
    return _positive_r2(counts, a, y) - _positive_r2(counts, b, y)


def bootstrap_rsa_difference(
    a: Float[Tensor, " pairs"],
    b: Float[Tensor, " pairs"],
    brain: Float[Tensor, " pairs"],
    stimuli: int,
    n: int = 1000,
    seed: int = 0,
    chunk: int = 100,
) -> Float[Tensor, " draws"]:
    """Spearman(a, brain) - Spearman(b, brain) over stimuli drawn with replacement.

    Dissimilarities keep their rank among all pairs; a pair counts as often as its two stimuli
    were drawn, and a stimulus paired with itself does not count.

    Parameters
    ----------
    a, b, brain : tensors of shape (n (n - 1) / 2,)
        Dissimilarities, upper triangle row by row.
    """
    row, column = torch.triu_indices(stimuli, stimuli, 1, device=brain.device)
    ranked = [_standard(ranks(x)[:, None]) for x in (a, b, brain)]
    parts = []
    for counts in unit_counts(stimuli, n, seed).to(brain.device).split(chunk):
        weights = counts[:, row] * counts[:, column]
        parts.append(
            _weighted_r(weights, ranked[0], ranked[2]) - _weighted_r(weights, ranked[1], ranked[2])
        )
    return torch.cat(parts)[:, 0]


def two_sided_p(draws: Float[Tensor, "n ..."]) -> Float[Tensor, "..."]:
    """Twice the smaller share of bootstrap draws on one side of 0, the observed one among them."""
    low = (1 + (draws <= 0).sum(0)).double() / (1 + len(draws))
    high = (1 + (draws >= 0).sum(0)).double() / (1 + len(draws))
    return (2 * torch.minimum(low, high)).clamp_max(1)


def _standard(x: Tensor) -> Tensor:
    x = x.double()
    return (x - x.mean(0)) / x.std(0, correction=0).clamp_min(1e-300)


def _positive_r2(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return _weighted_r(weights, _standard(x), _standard(y)).clamp_min(0).square()


def _weighted_r(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Correlation of each column of x with that of y, rows weighted: (draws, v)."""
    total = weights.sum(1, keepdim=True)
    sums = (weights @ z for z in (x, x.square(), y, y.square(), x * y))
    return _r_of_sums(total, *sums)


def _mixed_sums(swap: Tensor, a: Tensor, b: Tensor, y: Tensor) -> list[Tensor]:
    """Sums over rows of x, x², y, y² and x y, where x is b in swapped rows and a in the others."""
    x = a.sum(0) + swap @ (b - a)
    square = a.square().sum(0) + swap @ (b.square() - a.square())
    product = (a * y).sum(0) + swap @ ((b - a) * y)
    return [x, square, y.sum(0).expand_as(x), y.square().sum(0).expand_as(x), product]


def _positive_r2_of_sums(total: int, *sums: Tensor) -> Tensor:
    return _r_of_sums(total, *sums).clamp_min(0).square()


def _r_of_sums(total: Tensor | int, x: Tensor, xx: Tensor, y: Tensor, yy: Tensor, xy: Tensor):  # type: ignore[no-untyped-def]
    covariance = xy / total - (x / total) * (y / total)
    spread = (xx / total - (x / total).square()) * (yy / total - (y / total).square())
    # A constant side correlates with nothing; its variance is rounding.
    return torch.where(spread > 1e-20, covariance / spread.clamp_min(1e-300).sqrt(), 0.0)
