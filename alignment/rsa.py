"""Representational dissimilarity matrices and their comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from alignment.kernels import centred, inner

ROUNDING = 5e-7
"""Share of its root mean square below which the spread of a column is rounding (four ulp)."""


def rdm(
    x: Float[Tensor, "*batch n p"],
    method: Literal["correlation", "euclidean", "cosine"] = "correlation",
) -> Float[Tensor, "*batch pairs"]:
    """Dissimilarities between the rows of ``x``, upper triangle row by row.

    ``correlation``: 1 - Pearson r between rows; ``cosine``: 1 - cosine;
    ``euclidean``: squared distance.

    Parameters
    ----------
    x : tensor of shape (…, n, p)

    Returns
    -------
    tensor of shape (…, n (n - 1) / 2)
    """
    n = x.shape[-2]
    row, column = torch.triu_indices(n, n, 1, device=x.device)
    return dissimilarities(x, method)[..., row, column]


def dissimilarities(
    x: Float[Tensor, "*batch n p"],
    method: Literal["correlation", "euclidean", "cosine"] = "correlation",
) -> Float[Tensor, "*batch n n"]:
    """:func:`rdm` as a full matrix."""
    if method == "correlation":
        x = x - x.mean(-1, keepdim=True)
    elif method not in ("euclidean", "cosine"):
        raise ValueError(f"rdm method {method!r}: expected correlation, euclidean or cosine")
    if method == "euclidean":
        square = x.square().sum(-1)
        return square[..., None] + square[..., None, :] - 2 * x @ x.mT
    unit = x / x.norm(dim=-1, keepdim=True)
    return 1 - unit @ unit.mT


def zscore(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n p"]:
    """Columns with mean 0 and standard deviation 1 over rows (population, + 1e-10).

    0 where a column is constant but for the rounding of float32.
    """
    spread = x.std(-2, correction=0, keepdim=True)
    varies = spread > ROUNDING * x.square().mean(-2, keepdim=True).sqrt()
    return torch.where(varies, (x - x.mean(-2, keepdim=True)) / (spread + 1e-10), 0.0)


def compare(
    a: Float[Tensor, "*#batch k"],
    b: Float[Tensor, "*#batch k"],
    method: Literal[
        "spearman",
        "pearson",
        "cosine",
        "kendall_a",
        "rho_a",
        "whitened_cosine",
        "whitened_correlation",
    ] = "spearman",
) -> Float[Tensor, "*_"]:
    """Similarity of two dissimilarity vectors; leading axes broadcast.

    - ``spearman``: Pearson correlation of ranks, ties sharing their mean rank.
    - ``kendall_a``: :func:`kendall_a`, for models that predict ties (Nili et al. 2014).
    - ``rho_a``: ``12 <r_a, r_b> / (k³ - k)`` with centred mean ranks, the expected Spearman
      correlation under random breaking of ties (Schütt et al. 2023).
    - ``whitened_cosine``, ``whitened_correlation``: :func:`whitened_cosine` of the vectors, or of
      the vectors less their mean (Diedrichsen et al. 2021).

    NaN where a vector holds NaN, is zero (cosines) or constant (the others).
    """
    if method not in COMPARISONS:
        raise ValueError(f"comparison {method!r}: expected one of {', '.join(COMPARISONS)}")
    angle = method in ("cosine", "whitened_cosine")
    value = COMPARISONS[method](a, b)
    return value.where(defined(a, angle) & defined(b, angle), torch.nan)


def defined(x: Float[Tensor, "*batch k"], angle: bool) -> Bool[Tensor, "*batch"]:
    """Vectors without NaN that are not zero (where angles are compared) or not constant."""
    origin = 0 if angle else x[..., :1]
    return (x != origin).any(-1) & ~x.isnan().any(-1)


def pearson(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """Pearson correlation over the last axis; NaN where one side is constant."""
    a = a - a.mean(-1, keepdim=True)
    b = b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()


def ranks(x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
    """Ranks 1 … k over the last axis, ties sharing their mean rank, in float64."""
    x = x.contiguous()
    ordered, order = x.sort(-1)
    if not bool((ordered[..., 1:] == ordered[..., :-1]).any()):
        places = torch.arange(1, x.shape[-1] + 1, dtype=torch.float64, device=x.device)
        return torch.empty_like(x, dtype=torch.float64).scatter_(-1, order, places.expand_as(x))
    first = torch.searchsorted(ordered, x)
    last = torch.searchsorted(ordered, x, right=True)
    return (first + last + 1).double() / 2


def spearman(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """Pearson correlation of ranks."""
    return pearson(ranks(a), ranks(b))


def cosine(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """Cosine of the angle between the vectors."""
    return torch.nn.functional.cosine_similarity(a, b, dim=-1)


def rho_a(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """``12 <r_a, r_b> / (k³ - k)`` with centred mean ranks."""
    k = a.shape[-1]
    middle = (k + 1) / 2
    return 12 * ((ranks(a) - middle) * (ranks(b) - middle)).sum(-1) / (k**3 - k)


def kendall_a(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """Concordant less discordant pairs of entries, over ``k (k - 1) / 2``, in float64.

    Exact, in O(k log² k) time and O(k) memory: with entries in the order of (a, b), discordant
    pairs are the inversions of b (Knight 1966).
    """
    a, b = torch.broadcast_tensors(a, b)
    first, second = dense_ranks(a), dense_ranks(b)
    k = a.shape[-1]
    both = first * (k + 1) + second
    ordered = both.sort(-1).values % (k + 1)
    untied = k * (k - 1) // 2 - ties(first) - ties(second) + ties(both)
    return (untied - 2 * inversions(ordered)).double() / (k * (k - 1) / 2)


def dense_ranks(x: Float[Tensor, "*batch k"]) -> Int[Tensor, "*batch k"]:
    """Number of entries that are smaller."""
    x = x.contiguous()
    return torch.searchsorted(x.sort(-1).values, x)


def ties(x: Int[Tensor, "*batch k"]) -> Int[Tensor, "*batch"]:
    """Number of pairs of equal entries."""
    ordered = x.sort(-1).values
    before = torch.arange(x.shape[-1], device=x.device)
    return (before - torch.searchsorted(ordered, ordered)).sum(-1)


def inversions(x: Int[Tensor, "*batch k"]) -> Int[Tensor, "*batch"]:
    """Number of pairs i < j with ``x_i > x_j``, none of which is above k: a merge sort."""
    k = x.shape[-1]
    levels = max(k - 1, 0).bit_length()
    x = torch.nn.functional.pad(x, (0, 2**levels - k), value=k + 1)
    count = torch.zeros(x.shape[:-1], dtype=torch.int64, device=x.device)
    for level in range(levels):
        width = 2**level
        halves = x.unflatten(-1, (-1, 2, width))
        left, right = halves[..., 0, :].contiguous(), halves[..., 1, :].contiguous()
        count += (width - torch.searchsorted(left, right, right=True)).sum((-2, -1))
        x = x.unflatten(-1, (-1, 2 * width)).sort(-1).values.flatten(-2)
    return count


def whitened_cosine(
    a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]
) -> Float[Tensor, "*_"]:
    """``a'V⁻¹b / sqrt(a'V⁻¹a b'V⁻¹b)`` with the covariance V of distances of independent noise.

    ``V = (C C')²`` elementwise for C the contrasts of all pairs of n conditions. Then
    ``4 a'V⁻¹b = <H A H, H B H>``, A and B the square matrices and ``H = I - 11'/n``, so that no
    k x k matrix is made (Diedrichsen et al. 2021).
    """
    return inner(centred(square(a), debiased=False), centred(square(b), debiased=False))


def square(x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch n n"]:
    """Symmetric matrix, zero on its diagonal, whose upper triangle is ``x`` row by row."""
    k = x.shape[-1]
    n = (1 + math.isqrt(1 + 8 * k)) // 2
    if n * (n - 1) // 2 != k:
        raise ValueError(f"{k} dissimilarities: expected n (n - 1) / 2, all pairs of n conditions")
    row, column = torch.triu_indices(n, n, 1, device=x.device)
    full = x.new_zeros(*x.shape[:-1], n, n)
    full[..., row, column] = x
    return full + full.mT


def whitened_correlation(
    a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]
) -> Float[Tensor, "*_"]:
    """:func:`whitened_cosine` of the vectors less their mean."""
    return whitened_cosine(a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True))


COMPARISONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "spearman": spearman,
    "pearson": pearson,
    "cosine": cosine,
    "kendall_a": kendall_a,
    "rho_a": rho_a,
    "whitened_cosine": whitened_cosine,
    "whitened_correlation": whitened_correlation,
}
