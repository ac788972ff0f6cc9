"""How much of what two geometries share is in a third one: partial rank correlations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.rsa import compare, pearson, ranks


def partial_spearman(
    x: Float[Tensor, "*#batch k"],
    y: Float[Tensor, "*#batch k"],
    covariates: Float[Tensor, "*_ c k"],
) -> Float[Tensor, "..."]:
    """Spearman correlation of x and y once the ranks of the covariates are taken out of theirs.

    Pearson correlation of the residuals of the ranks of x and y, each regressed on the ranks of
    the c covariates and a constant; for one covariate it equals
    ``(r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2))``.

    Parameters
    ----------
    x, y : tensor of shape (…, k)
        Such as the upper triangles of RDMs.
    covariates : tensor of shape (…, c, k)
        Such as |i - j| and an acoustic RDM. They may be collinear.

    Returns
    -------
    tensor of shape (…), float64
        NaN where the covariates leave nothing of x or of y.
    """
    z = _centred(covariates)
    # Directions that the covariates span; those of rounding error only are dropped.
    _, size, basis = torch.linalg.svd(z, full_matrices=False)
    largest = size.amax(-1, keepdim=True)
    basis = basis * (size > 1e-10 * largest)[..., None]
    return pearson(_residual(x, basis), _residual(y, basis))


def mediation_ratio(
    p_rdm: Float[Tensor, "*#batch k"],
    e_rdm: Float[Tensor, "*#batch k"],
    m_rdm: Float[Tensor, "*#batch k"],
) -> Float[Tensor, "..."]:
    """Share of the relation between prosody (P) and EEG (E) that goes away given a model (M).

    ``1 - rho^2(P,E|M) / rho^2(P,E)``, rho the Spearman correlation of RDMs, partial by the
    first-order formula of :func:`partial_spearman` (github.com/FlowerNeverFade/
    eeg-audio-similarity). It is a description, not a causal mediation.

    Parameters
    ----------
    p_rdm, e_rdm, m_rdm : tensor of shape (…, k)
        Upper triangles.

    Returns
    -------
    tensor of shape (…)
        0 where ``|rho(P,E)| < 1e-6``; negative where M hides a relation of P and E; NaN where M
        ranks the pairs just as P or E does, since nothing is left to correlate.
    """
    return mediated_share(compare(p_rdm, e_rdm), compare(p_rdm, m_rdm), compare(e_rdm, m_rdm))


def mediated_share(
    pe: Float[Tensor, "*#batch"], pm: Float[Tensor, "*#batch"], em: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch"]:
    """:func:`mediation_ratio` from the three correlations, such as means over sentences."""
    left = (1 - pm.square()) * (1 - em.square())
    partial = (pe - pm * em).square() / torch.where(left > 1e-12, left, torch.nan)
    return torch.where(pe.abs() < 1e-6, 0.0, 1 - partial / pe.square())


def _centred(x: Tensor) -> Tensor:
    place = ranks(x)
    return place - place.mean(-1, keepdim=True)


def _residual(x: Tensor, basis: Tensor) -> Tensor:
    """Ranks of x less their part along the rows of ``basis``; NaN where nothing is left."""
    place = _centred(x)
    along = (basis @ place[..., None]).squeeze(-1)
    rest = place - (along[..., None, :] @ basis).squeeze(-2)
    some = rest.norm(dim=-1, keepdim=True) > 1e-7 * place.norm(dim=-1, keepdim=True)
    return torch.where(some, rest, torch.nan)
