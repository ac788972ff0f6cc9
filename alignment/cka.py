"""Centred kernel alignment, and what every similarity of two matrices asks of its input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.kernels import double_centred, inner, linear_kernel, rbf_kernel, u_centred


def linear_cka(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"], debiased: bool = True
) -> Float[Tensor, "..."]:
    """Centred alignment of the inner products of rows.

    ``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))``; for ``debiased=False`` this is
    ``|X'Y|² / (|X'X| |Y'Y|)`` with centred columns and Frobenius norms (Kornblith et al. 2019).
    The biased form grows with p / n and q / n also when x and y are independent. The debiased one
    has the unbiased HSIC in all three places (Song et al. 2012, Nguyen et al. 2021), is about 0
    for independent data, may be negative and is never clipped.

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)

    Returns
    -------
    tensor of shape (…)
        NaN where a matrix holds NaN or all its rows are equal, and for n < 4 if debiased.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows.
    """
    k, m = (linear_kernel(w) for w in paired(x, y))
    return inner(centred(k, debiased), centred(m, debiased))


def rbf_cka(
    x: Float[Tensor, "*#batch n p"],
    y: Float[Tensor, "*#batch m q"],
    sigma: float = 1.0,
    debiased: bool = True,
) -> Float[Tensor, "..."]:
    """:func:`linear_cka` with Gaussian kernels.

    ``k_ij = exp(-d_ij² / (2 s²))``, s the median distance times ``sigma``; the larger sigma is,
    the closer the result is to the linear one (Kornblith et al. 2019; Alvarez 2022).
    """
    k, m = (gaussian_kernel(w, sigma) for w in paired(x, y))
    return inner(centred(k, debiased), centred(m, debiased))


def gaussian_kernel(
    x: Float[Tensor, "*batch n p"], sigma: float = 1.0
) -> Float[Tensor, "*batch n n"]:
    """:func:`alignment.kernels.rbf_kernel`, NaN for a single row, which has no distances."""
    return rbf_kernel(x, sigma) if x.shape[-2] > 1 else x @ x.mT * torch.nan


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
