"""Representational dissimilarity matrices and their comparison."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor


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
    if method == "correlation":
        x = x - x.mean(-1, keepdim=True)
    elif method not in ("euclidean", "cosine"):
        raise ValueError(f"rdm method {method!r}: expected correlation, euclidean or cosine")
    if method == "euclidean":
        square = x.square().sum(-1)
        full = square[..., None] + square[..., None, :] - 2 * x @ x.mT
    else:
        unit = x / x.norm(dim=-1, keepdim=True)
        full = 1 - unit @ unit.mT
    n = x.shape[-2]
    row, column = torch.triu_indices(n, n, 1, device=x.device)
    return full[..., row, column]


def zscore(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n p"]:
    """Columns with mean 0 and standard deviation 1 over rows (population, + 1e-10)."""
    return (x - x.mean(-2, keepdim=True)) / (x.std(-2, correction=0, keepdim=True) + 1e-10)


def compare(
    a: Float[Tensor, "*#batch k"],
    b: Float[Tensor, "*#batch k"],
    method: Literal["spearman", "pearson", "cosine"] = "spearman",
) -> Float[Tensor, "*_"]:
    """Similarity of two dissimilarity vectors.

    Leading axes broadcast. ``spearman`` is the Pearson correlation of ranks, ties sharing their
    mean rank.
    """
    if method == "spearman":
        return pearson(ranks(a), ranks(b))
    if method == "pearson":
        return pearson(a, b)
    if method == "cosine":
        return torch.nn.functional.cosine_similarity(a, b, dim=-1)
    raise ValueError(f"comparison {method!r}: expected spearman, pearson or cosine")


def pearson(a: Float[Tensor, "*#batch k"], b: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*_"]:
    """Pearson correlation over the last axis; NaN where one side is constant."""
    a = a - a.mean(-1, keepdim=True)
    b = b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()


def ranks(x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
    """Ranks 1 … k over the last axis, ties sharing their mean rank, in float64."""
    x = x.contiguous()
    ordered = x.sort(-1).values
    first = torch.searchsorted(ordered, x)
    last = torch.searchsorted(ordered, x, right=True)
    return (first + last + 1).double() / 2
