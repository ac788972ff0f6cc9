"""What a statistic is when there is nothing to find, and how often it is as large as observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class NullTest:
    """A statistic, its values under the null hypothesis, and its p-value.

    Attributes
    ----------
    observed : tensor of shape (…)
    null : tensor of shape (n, …)
    p : tensor of shape (…)
        ``(1 + values as extreme as observed) / (1 + n)``: the observed value counts as one of
        the draws, so that p is never 0 (Phipson & Smyth 2010).
    """

    observed: Float[Tensor, "..."]
    null: Float[Tensor, "n ..."]
    p: Float[Tensor, "..."]

    @classmethod
    def upper(cls, observed: Tensor, null: Tensor) -> NullTest:
        """Large values count against the null hypothesis."""
        return cls(observed, null, _share(null >= observed))

    @classmethod
    def two_sided(cls, observed: Tensor, null: Tensor) -> NullTest:
        """Values far from 0 on either side count against the null hypothesis."""
        return cls(observed, null, _share(null.abs() >= observed.abs()))


def shuffles(rows: int, n: int, seed: int = 0) -> Int[Tensor, "n rows"]:
    """Random orders of ``rows`` rows."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, rows, generator=generator, dtype=torch.float64).argsort(1)


def shuffled_rows(
    statistic: Callable[[Tensor], Tensor],
    y: Float[Tensor, "n v"],
    n: int = 1000,
    seed: int = 0,
    chunk: int = 100,
) -> NullTest:
    """Is a statistic larger than with the stimuli of the responses in random order?

    All responses of a draw are shuffled alike, so that what they share stays.

    Parameters
    ----------
    statistic : callable
        From responses of shape (n, w) to a value for each of the w columns; shuffled copies of y
        are given as further columns, and share whatever is computed from the features alone.
    chunk : int
        Shuffled copies given at once.
    """
    orders = shuffles(len(y), n, seed).to(y.device)
    values = [
        statistic(y[part].permute(1, 0, 2).flatten(1)).view(len(part), -1)
        for part in orders.split(chunk)
    ]
    return NullTest.upper(statistic(y), torch.cat(values))


def shuffled_pairs(
    dissimilarities: Float[Tensor, "*batch pairs"], orders: Int[Tensor, "n stimuli"]
) -> Float[Tensor, "n *batch pairs"]:
    """Dissimilarities of the same stimuli in other orders (the Mantel test's null).

    Parameters
    ----------
    dissimilarities : tensor of shape (…, stimuli (stimuli - 1) / 2)
        Upper triangle row by row.
    """
    stimuli = orders.shape[1]
    row, column = torch.triu_indices(stimuli, stimuli, 1, device=dissimilarities.device)
    place = torch.zeros(stimuli, stimuli, dtype=torch.long, device=dissimilarities.device)
    place[row, column] = place[column, row] = torch.arange(len(row), device=place.device)
    moved = place[orders[:, row], orders[:, column]]
    return dissimilarities[..., moved].movedim(-2, 0)


def sign_flips(differences: Float[Tensor, "units ..."], n: int = 10_000, seed: int = 0) -> NullTest:
    """Is a mean difference over units, such as participants, other than 0?

    Swapping the two labels of a unit turns the sign of its difference. All ``2^units`` sign
    patterns are taken where they are no more than ``n``, random ones otherwise; two-sided.
    """
    units = len(differences)
    if 2**units <= n:
        codes = torch.arange(2**units)[:, None] >> torch.arange(units)
        # The unchanged pattern is the observed value, which NullTest counts by itself.
        flips = (codes & 1)[1:]
    else:
        generator = torch.Generator().manual_seed(seed)
        flips = torch.randint(2, (n, units), generator=generator)
    signs = (1 - 2 * flips).to(differences)
    null = torch.tensordot(signs, differences, 1) / units
    # Differences that are equal but for rounding count as equal.
    slack = 1e-12 * differences.abs().mean(0)
    observed = differences.mean(0)
    return NullTest(observed, null, _share(null.abs() >= observed.abs() - slack))


def _share(extreme: Tensor) -> Tensor:
    return (1 + extreme.sum(0)).double() / (1 + len(extreme))
