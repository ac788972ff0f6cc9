"""How much of what two geometries share is in a third one."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mediated_share(
    pe: Float[Tensor, "*#batch"], pm: Float[Tensor, "*#batch"], em: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch"]:
    """Share of the squared correlation of P and E that M accounts for.

    ``1 - rho²(P,E|M) / rho²(P,E)``. The partial correlation is the first-order formula
    ``(r_pe - r_pm r_em) / sqrt((1 - r_pm²) (1 - r_em²))``. 1 where M accounts for all of it, 0
    for none, below 0 where M hides it.

    Parameters
    ----------
    pe, pm, em : tensors of shape (…)
        Spearman correlations of dissimilarities, or means of them over sentences.

    Returns
    -------
    tensor of shape (…)
        0 where P and E are unrelated, NaN where M leaves nothing of either.
    """
    left = (1 - pm.square()) * (1 - em.square())
    partial = (pe - pm * em).square() / torch.where(left > 1e-12, left, torch.nan)
    return torch.where(pe.abs() < 1e-6, 0.0, 1 - partial / pe.square())
