"""Signatures: what a series is by itself, from which metrics.py beside makes its metrics.

Also how the product of two signatures becomes a statistic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.dependence import orthonormal_basis
from alignment.kernels import (
    centred,
    linear_kernel,
    paired,
    u_centred,
    unit,
    without_diagonal,
)
from alignment.neighbours import neighbour_graph
from alignment.procrustes import shape
from alignment.rsa import dissimilarities, ranks

NEIGHBOURS = 10
EXCLUSION = 5
"""Rows about a row that are never its neighbours: 200 ms at 25 Hz."""
PAIRS = 10_000
"""Pairs of dissimilarities whose order Kendall's tau compares."""


# ---- signatures ----------------------------------------------------------------------------------


def ranked_pairs(d: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Centred ranks of the dissimilarities of all pairs, with norm 1 and an empty diagonal."""
    row, column = _pairs(d)
    values = d[..., row, column]
    ordered = ranks(values).to(d.dtype)
    # Ranks of what is not a number would look like any others.
    return _centred_pairs(ordered.where(~values.isnan().any(-1, keepdim=True), torch.nan), d)


def time_apart(n: int, like: Tensor) -> Float[Tensor, "n n"]:
    """:func:`ranked_pairs` of ``|i - j|``, of the type and device of ``like``."""
    i = torch.arange(n, dtype=like.dtype, device=like.device)
    return ranked_pairs((i - i[:, None]).abs())


def plain_pairs(d: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    row, column = _pairs(d)
    return _centred_pairs(d[..., row, column], d)


def _centred_pairs(values: Float[Tensor, "*batch pairs"], d: Tensor) -> Tensor:
    row, column = _pairs(d)
    values = values - values.mean(-1, keepdim=True)
    full = torch.zeros_like(d)
    full[..., row, column] = values
    full[..., column, row] = values
    return unit(full, full)


def _pairs(d: Tensor) -> tuple[Tensor, Tensor]:
    row, column = torch.triu_indices(d.shape[-1], d.shape[-1], 1, device=d.device)
    return row, column


def dissimilarity(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n n"]:
    """1 - Pearson between rows; absolute difference for one column."""
    return (x - x.mT).abs() if x.shape[-1] == 1 else dissimilarities(x)


def geometry(pairs: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return pairs(dissimilarity(x))


def centred_kernel(kernel: Callable[[Tensor], Tensor], debiased: bool, x: Tensor) -> Tensor:
    return centred(kernel(x), debiased)


def dependence(kernel: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """U-centred kernel whose products are the unbiased HSIC; NaN where all rows are equal."""
    (x,) = paired(x)
    n = x.shape[-2]
    return u_centred(kernel(x)) / (n * (n - 3)) ** 0.5


def hollow_kernel(x: Tensor) -> Tensor:
    k = linear_kernel(x)
    return unit(without_diagonal(k), k)


def graph(x: Tensor) -> Tensor:
    """The neighbours of every row, over the root of their number."""
    n = x.shape[-2]
    k = _neighbours(n)
    return neighbour_graph(x, k, excluded(n), circular=True) / (k * n) ** 0.5


def excluded(n: int) -> int:
    """Rows nearer in time than this are no neighbours; fewer in short series (Theiler 1986)."""
    return min(EXCLUSION, n // 10)


def _allowed(n: int) -> int:
    return n - max(2 * excluded(n) - 1, 1)


def _neighbours(n: int) -> int:
    return min(NEIGHBOURS, _allowed(n) // 2)


def basis(x: Tensor) -> Tensor:
    return orthonormal_basis(x)[0].to(x.dtype)


def unit_shape(x: Tensor) -> Tensor:
    return shape(x).to(x.dtype)


# ---- from products to statistics -----------------------------------------------------------------


def above_chance(overlap: Tensor, n: int) -> Tensor:
    chance = _neighbours(n) / _allowed(n)
    return (overlap - chance) / (1 - chance)


def root(squared: Tensor, n: int) -> Tensor:
    return squared.clamp_min(0).sqrt()


def information(m: Tensor, n: int) -> Tensor:
    """``-1/2 sum log(1 - rho²)`` (nats); canonical correlations are the singular values of M."""
    squared = _squared_singular_values(m).clamp(0, 1 - 1e-12)  # 1 would be infinite information
    return (-0.5 * torch.log1p(-squared).sum(-1)).to(m.dtype)


def nearness(m: Tensor, n: int) -> Tensor:
    """1 - angular Procrustes distance over its largest, pi / 2."""
    norm = _squared_singular_values(m).clamp_min(0).sqrt().sum(-1).clamp(-1, 1)
    return (1 - torch.arccos(norm) / (torch.pi / 2)).to(m.dtype)


def _squared_singular_values(m: Tensor) -> Tensor:
    """By the eigenvalues of ``M'M``, in half the time of a decomposition of M; NaN stays."""
    gram = (m.mT @ m).double()
    bad = ~gram.isfinite().all(-1).all(-1)
    found = torch.linalg.eigvalsh(gram.masked_fill(bad[..., None, None], 0.0))
    return found.masked_fill(bad[..., None], torch.nan)


# ---- Kendall's tau -------------------------------------------------------------------------------


def order_signs(d: Float[Tensor, "b n n"]) -> Float[Tensor, "b pairs"]:
    """Signs of differences between dissimilarities, over the root of their number.

    Of all pairs of dissimilarities, or ``PAIRS`` random ones where there are more: always the
    same for one n.
    """
    row, column, first, second = _compared(d)
    values = d[:, row, column]
    return _sign(values[:, first] - values[:, second]) / len(first) ** 0.5


def sign_shifts(a: Tensor, b: Tensor) -> Float[Tensor, "a b n"]:
    n = a.shape[-1]
    row, column, first, second = _compared(b)
    shift = torch.arange(n, device=b.device)[:, None]
    # Where the dissimilarity of a pair stands once the series is shifted.
    place = (row + shift) % n * n + (column + shift) % n
    one, other = place[:, first], place[:, second]
    scale = len(first) ** -0.5
    signs = order_signs(a)
    rows = [signs @ (_sign(d[one] - d[other]) * scale).T for d in b.flatten(1)]
    return torch.stack(rows, 1)


def _sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; NaN stays."""
    return torch.where(x.isnan(), x, torch.sign(x))


def _compared(d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of all pairs, and which two of them are compared."""
    row, column = _pairs(d)
    count = len(row)
    if count * (count - 1) // 2 <= PAIRS:
        first, second = torch.triu_indices(count, count, 1, device=d.device)
    else:
        draw = torch.Generator().manual_seed(d.shape[-1])
        first = torch.randint(count, (PAIRS,), generator=draw).to(d.device)
        second = torch.randint(count - 1, (PAIRS,), generator=draw).to(d.device)
        second = second + (second >= first)
    return row, column, first, second
