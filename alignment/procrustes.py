"""Distance of two shapes after the best rotation, shift and scale."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.kernels import paired


def angular_distance(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"]
) -> Float[Tensor, "..."]:
    """Angle of the Procrustes problem, in radians from 0 to pi / 2.

    ``arccos |X'Y|`` with the nuclear norm, X and Y with centred columns and Frobenius norm 1:
    0 for equal shapes whatever their rotation, shift and isotropic scale, and a metric (Williams
    et al. 2021). Small where p or q exceed n also when x and y are independent.

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)

    Returns
    -------
    tensor of shape (…)
        NaN where a matrix holds NaN or all its rows are equal.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows.
    """
    return overlap(x, y).arccos().to(torch.result_type(x, y))


def overlap(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"]
) -> Float[Tensor, "..."]:
    """Nuclear norm of ``X'Y`` with centred columns and norm 1, in float64, from 0 to 1."""
    x, y = (shape(w) for w in paired(x, y))
    return singular_values(x.mT @ y).sum(-1).clamp_max(1)


def shape(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n r"]:
    """Centred rows of norm 1 in float64, turned into at most n dimensions."""
    x = x.double()
    x = x / x.abs().amax((-2, -1), keepdim=True)
    x = x - x.mean(-2, keepdim=True)
    x = x / x.norm(dim=(-2, -1), keepdim=True)
    n, p = x.shape[-2:]
    return x if p <= n else torch.linalg.qr(x.mT, mode="r").R.mT


def singular_values(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch r"]:
    """Singular values, NaN where the matrix is not finite."""
    known = x.isfinite().all(-1).all(-1)
    found = torch.linalg.svdvals(x.where(known[..., None, None], 0))
    return found.where(known[..., None], torch.nan)
