"""Statistical dependence of two sets of features: distances, kernels, mutual information."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.cka import linear_cka
from alignment.kernels import (
    centred,
    distances,
    double_centred,
    inner,
    linear_kernel,
    paired,
    rbf_kernel,
    u_centred,
    unit,
    without_diagonal,
)
from alignment.procrustes import singular_values
from alignment.rsa import ranks


def distance_correlation(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"], debiased: bool = True
) -> Float[Tensor, "..."]:
    """Distance correlation of the rows of x and y.

    With A and B the centred Euclidean distances:

    - ``debiased=True``: ``dCor*² = <A, B> / (|A| |B|)``, U-centred. Already a square, about 0 for
      independent data, may be negative, never clipped (Székely & Rizzo 2014).
    - ``debiased=False``: ``dCor = sqrt(<A, B> / (|A| |B|))``, double-centred. Not a square, far
      above 0 for independent data of many dimensions (Székely, Rizzo & Bakirov 2007).

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)

    Returns
    -------
    tensor of shape (…)
        NaN where a matrix holds NaN, all its rows are equal or (debiased) equally far from each
        other, and for n < 4 if debiased.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows.
    """
    x, y = paired(x, y)
    value = inner(centred(distances(x), debiased), centred(distances(y), debiased))
    return value if debiased else value.clamp_min(0).sqrt()


def hsic(
    x: Float[Tensor, "*#batch n p"],
    y: Float[Tensor, "*#batch m q"],
    kernel: Literal["linear", "rbf"] = "linear",
    sigma: float = 1.0,
    debiased: bool = True,
) -> Float[Tensor, "..."]:
    """Hilbert-Schmidt independence criterion, in the units of the kernels.

    Biased ``tr(K H L H) / (n - 1)²`` (Gretton et al. 2005), or the unbiased estimate
    ``[tr(K~ L~) + 1'K~1 1'L~1 / ((n-1)(n-2)) - 2/(n-2) 1'K~L~1] / (n(n-3))`` of kernels without
    diagonal (Song et al. 2012), which is the inner product of the U-centred ones over n (n - 3).
    :func:`alignment.cka.linear_cka` and :func:`alignment.cka.rbf_cka` are its normalised forms;
    shapes and NaN as there.
    """
    if kernel not in ("linear", "rbf"):
        raise ValueError(f"kernel {kernel!r}: expected linear or rbf")
    x, y = paired(x, y)
    k, m = (linear_kernel(w) if kernel == "linear" else rbf_kernel(w, sigma) for w in (x, y))
    n = x.shape[-2]
    if debiased:
        return inner(u_centred(k), u_centred(m)) / (n * (n - 3))
    return inner(double_centred(k), double_centred(m)) / (n - 1) ** 2


def rv(x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"]) -> Float[Tensor, "..."]:
    """RV coefficient (Robert & Escoufier 1976).

    ``tr(XX'YY') / sqrt(tr((XX')²) tr((YY')²))`` with centred columns: identical to
    :func:`alignment.cka.linear_cka` with ``debiased=False``.
    """
    return linear_cka(x, y, debiased=False)


def rv2(x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"]) -> Float[Tensor, "..."]:
    """:func:`rv` without the diagonals of ``XX'`` and ``YY'`` (Smilde et al. 2009).

    Columns are centred; less biased than :func:`rv` where p or q exceed n, and may be negative.
    """
    k, m = (linear_kernel(w) for w in paired(x, y))
    return inner(unit(without_diagonal(k), k), unit(without_diagonal(m), m))


def gaussian_mi(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"], copula: bool = False
) -> Float[Tensor, "..."]:
    """Mutual information of jointly Gaussian columns, in nats.

    ``-1/2 sum_i log(1 - rho_i²)``, rho_i the canonical correlations; without correction it is
    biased upwards by about p q / (2 n). With ``copula``, each column is first replaced by the
    normal quantiles of its ranks, ``Phi^-1(rank / (n + 1))`` with ties sharing their mean rank,
    and the bias of Gaussian entropies,
    ``1/2 [sum_{i<=p} psi_i + sum_{i<=q} psi_i - sum_{i<=p+q} psi_i]`` with
    ``psi_i = psi((n - i) / 2)``, is subtracted: a lower bound of the mutual information whatever
    the distributions of single columns (Ince et al. 2017).

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)
        Columns that depend linearly on the others add nothing, to p and q in the bias neither.

    Returns
    -------
    tensor of shape (…)
        Up to rounding infinite where a column of one is a linear function of the other; NaN where
        a matrix holds NaN or all its rows are equal, and for n <= p + q.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows.
    """
    dtype = torch.result_type(x, y)
    x, y = paired(x, y)
    n, most = x.shape[-2], x.shape[-1] + y.shape[-1]
    if n <= most:
        batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        return torch.full(batch, torch.nan, dtype=dtype, device=x.device)
    if copula:
        x, y = normal_scores(x), normal_scores(y)
    (basis_x, p), (basis_y, q) = orthonormal_basis(x), orthonormal_basis(y)
    rho = singular_values(basis_x.mT @ basis_y).clamp_max(1)
    value = -0.5 * torch.log1p(-rho.square()).sum(-1)
    if copula:
        order = torch.arange(1, most + 1, dtype=torch.float64, device=x.device)
        psi = torch.digamma((n - order) / 2).cumsum(0)
        total = torch.nn.functional.pad(psi, (1, 0))
        value = value - 0.5 * (total[p] + total[q] - total[p + q])
    return value.to(dtype)


def normal_scores(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n p"]:
    """Normal quantiles of ``rank / (n + 1)`` within each column, in float64; NaN stays NaN."""
    scores = torch.special.ndtri(ranks(x.mT) / (x.shape[-2] + 1)).mT
    return scores.where(~x.isnan(), torch.nan)


def orthonormal_basis(
    x: Float[Tensor, "*batch n p"],
) -> tuple[Float[Tensor, "*batch n r"], Int[Tensor, "*batch"]]:
    """Orthonormal columns, in float64, that span the centred ones, zeros after them; the rank.

    Where x is not finite the basis is NaN and the rank 0.
    """
    known = x.isfinite().all(-1).all(-1)
    tolerance = max(x.shape[-2:]) * torch.finfo(x.dtype).eps
    x = x.double().where(known[..., None, None], 0)
    u, s, _ = torch.linalg.svd(x - x.mean(-2, keepdim=True), full_matrices=False)
    kept = s > tolerance * s[..., :1]
    basis = (u * kept[..., None, :]).where(known[..., None, None], torch.nan)
    return basis, kept.sum(-1)
