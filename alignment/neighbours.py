"""Do two sets of features give a stimulus the same nearest neighbours?"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from alignment.kernels import paired


def mutual_knn(
    x: Float[Tensor, "*#batch n p"],
    y: Float[Tensor, "*#batch m q"],
    k: int = 10,
    exclusion: int = 0,
    corrected: bool = False,
) -> Float[Tensor, "..."]:
    """Share of nearest neighbours that x and y have in common.

    ``m = mean_i |N_k^X(i) & N_k^Y(i)| / k`` with cosine similarity (Huh et al. 2024).
    ``corrected`` gives ``(m - c) / (1 - c)`` with ``c = mean_i k / allowed_i``, the mean of m for
    independent data: about 0 by chance, 1 for equal neighbours, may be negative.

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)
    k : int
        Number of neighbours.
    exclusion : int
        Rows with ``|i - j| < exclusion`` are never neighbours (Theiler 1986); 0 and 1 exclude the
        row itself only.

    Returns
    -------
    tensor of shape (…)
        NaN where a matrix holds NaN or a row of zeros, or all its rows are equal; the corrected
        form also where k is the number of allowed neighbours.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows or k exceeds the allowed neighbours.
    """
    return common_neighbours(paired(x, y), k, exclusion, corrected)


def tri_modal_consistency(
    x: Float[Tensor, "*#batch n p"],
    y: Float[Tensor, "*#batch m q"],
    z: Float[Tensor, "*#batch l r"],
    k: int = 10,
    exclusion: int = 0,
    corrected: bool = True,
) -> Float[Tensor, "..."]:
    """Share of nearest neighbours that x, y and z all have in common.

    ``mean_i |N_k^X(i) & N_k^Y(i) & N_k^Z(i)| / k``, with chance ``mean_i (k / allowed_i)²``;
    otherwise as :func:`mutual_knn`.
    """
    return common_neighbours(paired(x, y, z), k, exclusion, corrected)


def common_neighbours(
    matrices: tuple[Tensor, ...], k: int, exclusion: int, corrected: bool
) -> Float[Tensor, "..."]:
    """Mean share of neighbours in common to all matrices, corrected for chance or not."""
    common = neighbour_graph(matrices[0], k, exclusion)
    for x in matrices[1:]:
        common = common * neighbour_graph(x, k, exclusion)
    value = common.sum(-1).mean(-1) / k
    if not corrected:
        return value
    allowed = allowed_pairs(matrices[0].shape[-2], exclusion, value.device).sum(-1)
    chance = (k / allowed.double()).pow(len(matrices) - 1).mean()
    return ((value - chance) / (1 - chance)).to(value.dtype)


def neighbour_graph(
    x: Float[Tensor, "*batch n p"], k: int = 10, exclusion: int = 0, circular: bool = False
) -> Float[Tensor, "*batch n n"]:
    """1 where row j is one of the k nearest neighbours of row i by cosine similarity, else 0.

    Parameters and errors as in :func:`mutual_knn`; which of two equally near rows is taken is not
    defined. All NaN where x holds NaN or a row of zeros. With ``circular`` the last row lies
    beside the first, so that the graph of rows rolled in a circle is the rolled graph.
    """
    allowed = allowed_pairs(x.shape[-2], exclusion, x.device, circular)
    fewest = int(allowed.sum(-1).min())
    if not 1 <= k <= fewest:
        raise ValueError(
            f"k={k} neighbours of {len(allowed)} rows with exclusion={exclusion}: expected 1 to "
            f"{fewest}, the number that every row is allowed; lower k or exclusion"
        )
    x = x / x.abs().amax(-1, keepdim=True)
    x = x / x.norm(dim=-1, keepdim=True)
    near = (x @ x.mT).masked_fill(~allowed, -torch.inf).topk(k, -1).indices
    graph = torch.zeros(*x.shape[:-1], len(allowed), dtype=x.dtype, device=x.device)
    known = x.isfinite().all(-1).all(-1)[..., None, None]
    return graph.scatter(-1, near, 1).where(known, torch.nan)


def allowed_pairs(
    n: int, exclusion: int, device: torch.device, circular: bool = False
) -> Bool[Tensor, "n n"]:
    """Pairs of n rows with ``|i - j| >= max(exclusion, 1)``, either way round if ``circular``."""
    i = torch.arange(n, device=device)
    apart = (i - i[:, None]).abs()
    if circular:
        apart = torch.minimum(apart, n - apart)
    return apart >= max(exclusion, 1)
