"""Similarities and distances between rows, how they are centred, and what is undefined."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def linear_kernel(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n n"]:
    """Inner products of rows about their mean."""
    x = x - x.mean(-2, keepdim=True)
    return x @ x.mT


def distances(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n n"]:
    """Euclidean distances between rows; exactly 0 on the diagonal."""
    square = linear_kernel(x)
    norms = square.diagonal(dim1=-2, dim2=-1)
    found = (norms[..., None] + norms[..., None, :] - 2 * square).clamp_min(0).sqrt()
    return without_diagonal(found)


def rbf_kernel(x: Float[Tensor, "*batch n p"], sigma: float = 1.0) -> Float[Tensor, "*batch n n"]:
    """``exp(-d² / (2 s²))`` with ``s`` the median distance between different rows, times sigma.

    NaN for a single row, which has no distances.
    """
    d = distances(x)
    n = d.shape[-1]
    if n < 2:
        return torch.full_like(d, torch.nan)
    row, column = torch.triu_indices(n, n, 1, device=d.device)
    middle = d[..., row, column].quantile(0.5, -1)
    return torch.exp(-0.5 * (d / (sigma * middle)[..., None, None]).square())


def without_diagonal(k: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """The matrix with zeros on its diagonal."""
    eye = torch.eye(k.shape[-1], dtype=torch.bool, device=k.device)
    return k.masked_fill(eye, 0)


def double_centred(k: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """``H K H`` with ``H = I - 11'/n``: rows and columns have mean 0."""
    k = k - k.mean(-1, keepdim=True)
    return k - k.mean(-2, keepdim=True)


def u_centred(k: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Off the diagonal ``k_ij - r_i/(n-2) - r_j/(n-2) + S/((n-1)(n-2))``, on it 0.

    r are row sums and S is the sum of all entries of a symmetric matrix without its diagonal.
    With independent data, products of entries of two U-centred matrices sum to 0 on average
    (Székely & Rizzo 2014); with kernels their sum over n (n - 3) is the unbiased HSIC (Song et
    al. 2012). NaN for n < 4.
    """
    n = k.shape[-1]
    if n < 4:
        return torch.full_like(k, torch.nan)
    k = without_diagonal(k)
    rows = k.sum(-1, keepdim=True) / (n - 2)
    total = k.sum((-2, -1), keepdim=True) / ((n - 1) * (n - 2))
    return without_diagonal(k - rows - rows.mT + total)


def inner(a: Float[Tensor, "*#batch n n"], b: Float[Tensor, "*#batch n n"]) -> Float[Tensor, "..."]:
    """Sum of the products of all entries."""
    return (a * b).sum((-2, -1))


def paired(*matrices: Float[Tensor, "..."]) -> tuple[Tensor, ...]:
    """The matrices, each filled with NaN where all its rows are equal.

    Raises
    ------
    ValueError
        When they differ in their number of rows.
    """
    rows = [x.shape[-2] for x in matrices]
    if len(set(rows)) > 1:
        raise ValueError(
            f"{' and '.join(map(str, rows))} rows: expected one row per stimulus in each matrix, "
            "check that all have the same stimuli in the same order"
        )
    varied = [(x != x[..., :1, :]).any(-1).any(-1)[..., None, None] for x in matrices]
    return tuple(x.where(found, torch.nan) for x, found in zip(matrices, varied, strict=True))


def centred(k: Float[Tensor, "*batch n n"], debiased: bool) -> Float[Tensor, "*batch n n"]:
    """U-centred or double-centred matrix of norm 1."""
    return unit(u_centred(k) if debiased else double_centred(k), k)


def unit(
    part: Float[Tensor, "*batch n n"], whole: Float[Tensor, "*batch n n"]
) -> Float[Tensor, "*batch n n"]:
    """``part`` scaled to norm 1; NaN where it is no more than the rounding of ``whole``."""
    scale = whole.abs().amax((-2, -1), keepdim=True)
    part, whole = part / scale, whole / scale
    norm = part.norm(dim=(-2, -1), keepdim=True)
    floor = 16 * torch.finfo(whole.dtype).eps * whole.norm(dim=(-2, -1), keepdim=True)
    return (part / norm).where(norm > floor, torch.nan)
