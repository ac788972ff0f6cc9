"""Correlations of dissimilarities given others that belong to one of the two series."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

NOTHING = 1e-6
"""Norm below which nothing is left of a matrix of norm 1."""


def covariate_basis(*given: Float[Tensor, "a n n"]) -> Float[Tensor, "a m k"]:
    """Orthonormal columns that span matrices of norm 1, row by row of ``a``.

    A matrix that is not a number, of a series that never varies, or a combination of those before
    it takes no part: its column is 0.
    """
    z = torch.stack([one.flatten(1) for one in given], -1)
    z = z.where(~z.isnan().any(1, keepdim=True), 0.0)
    q, r = torch.linalg.qr(z)
    kept = r.diagonal(dim1=-2, dim2=-1).abs() > NOTHING
    return q * kept[:, None]


def given_products(
    x: Float[Tensor, "a n n"], y: Float[Tensor, "b n n"], basis: Float[Tensor, "a m k"]
) -> Float[Tensor, "a b"]:
    """Partial correlation of every x with every y given the covariates of x.

    ``<x', y> / (|x'| sqrt(1 - |Q'y|²))`` with ``x' = x - Q Q'x`` and Q the covariates of x: those
    of a sentence whose response is compared with the layer and the sound of another one. 0 where
    the covariates leave nothing of x or of y.

    Parameters
    ----------
    x, y : tensors of shape (a, n, n) and (b, n, n)
        Centred, of norm 1.
    basis : tensor of shape (a, m, k)
        From :func:`covariate_basis`.
    """
    a, b = x.flatten(1), y.flatten(1)
    rest = a - (basis @ (basis.mT @ a[..., None]))[..., 0]
    size = rest.norm(dim=1, keepdim=True)
    rest = torch.where(size < NOTHING, 0.0, rest / size)
    through = torch.einsum("amk,bm->abk", basis, b)
    left = (1 - through.square().sum(-1)).clamp_min(0).sqrt()
    return torch.where(left < NOTHING, 0.0, rest @ b.T / left)
