"""Ridge regression on several feature spaces at once, each with a weight of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from alignment.inference import positive_r2
from alignment.regression.split_ridge import SplitRidge, gram


@dataclass(frozen=True)
class BandedScores:
    """Held-out r² of bands together, alone, and what each one contributes.

    Attributes
    ----------
    joint : tensor of shape (v,)
        All bands together.
    alone : tensor of shape (bands, v)
    added : tensor of shape (bands, v)
        ``joint`` less the r² of all other bands together: what no other band can give. Below 0
        where the band did harm on held-out rows.
    share : tensor of shape (bands, v)
        ``joint`` divided by what each band's part of the prediction has in common with the
        response, ``joint · cov(p_b, y) / cov(p, y)`` with ``p`` the sum of the ``p_b``. Shares
        sum to ``joint``.
    """

    joint: Float[Tensor, " v"]
    alone: Float[Tensor, "bands v"]
    added: Float[Tensor, "bands v"]
    share: Float[Tensor, "bands v"]


def banded_ridge(
    bands: Sequence[Float[Tensor, "n _"]],
    y: Float[Tensor, "n v"],
    folds: Int[Tensor, " n"],
    alphas: Float[Tensor, " a"],
    n_candidates: int = 30,
    seed: int = 0,
) -> BandedScores:
    """How much each feature space explains, alone, together and beyond the others.

    ``min ||y - sum_b X_b w_b||² + sum_b (alpha / gamma_b) ||w_b||²`` is kernel ridge with the
    kernel ``sum_b gamma_b K_b`` (Nunez-Elizalde et al. 2019; Dupré la Tour et al. 2022), each
    ``K_b`` scaled to the same trace. Weights ``gamma`` are drawn at random
    (:func:`candidate_weights`); for every fold and target the pair of weights and penalty with
    the smallest exact leave-one-out error in training is taken. A model without a band chooses
    among the candidates that give it none.

    Parameters
    ----------
    bands : sequence of tensors of shape (n, p)
    y : tensor of shape (n, v)
    folds : tensor of shape (n,)
        Equally large folds.
    alphas : tensor of shape (a,)
        Penalties on features scaled to a mean variance of 1 each, summed over features.
    n_candidates : int
        Random weights of the model of all bands, and of every model without one of them.
    """
    names = folds.unique().tolist()
    rows = [(folds == f).nonzero().flatten() for f in names]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"folds of {[len(row) for row in rows]} rows, expected equal sizes")
    test = torch.stack(rows)
    train = torch.stack([(folds != f).nonzero().flatten() for f in names])
    kernels = torch.stack([gram(x) for x in bands])
    trace = kernels.diagonal(dim1=1, dim2=2).mean(1)
    kernels = kernels / trace.clamp_min(1e-300)[:, None, None]
    weights = candidate_weights(len(bands), n_candidates, seed).to(kernels)
    grid = alphas.double().sort(descending=True).values.to(y.device)
    models = _members(weights)
    truth = y.double()
    predictions, parts = _search(kernels, weights, models, truth, train, test, grid)
    joint, *others = positive_r2(predictions, truth.expand_as(predictions))
    rest, alone = torch.stack(others).split(len(bands))
    added = joint - rest if len(bands) > 1 else joint[None]
    return BandedScores(joint, alone, added, joint * _common(parts, truth))


def candidate_weights(bands: int, n: int, seed: int = 0) -> Float[Tensor, "candidates bands"]:
    """Weights that sum to 1: every band alone, equal ones, and random ones.

    Random weights are Dirichlet with a concentration of 1 and of .1 in turn; ``n`` of them have
    all bands, and ``n`` lack each band in turn.
    """
    eye = torch.eye(bands, dtype=torch.float64)
    found = [eye]
    sets = [torch.ones(bands, dtype=torch.bool)]
    sets += [eye[b] == 0 for b in range(bands)] if bands > 2 else []
    generator = torch.Generator().manual_seed(seed)
    for inside in sets if bands > 1 else []:
        concentration = torch.tensor([1.0, 0.1]).repeat(-(-n // 2))[:n, None]
        drawn = torch._standard_gamma(
            concentration.expand(n, bands).double().contiguous(), generator=generator
        )
        drawn = torch.where(inside, drawn.clamp_min(1e-30), 0.0)
        equal = inside.double()[None]
        found += [x / x.sum(1, keepdim=True) for x in (equal, drawn)]
    return torch.cat(found)


def _members(weights: Tensor) -> Bool[Tensor, "models candidates"]:
    """Candidates of each model: all bands; without each; each alone."""
    used = weights > 0
    every = torch.ones(1, len(weights), dtype=torch.bool, device=weights.device)
    alone = used.T & (used.sum(1) == 1)
    return torch.cat([every, ~used.T, alone])


def _search(
    kernels: Tensor,
    weights: Tensor,
    models: Tensor,
    y: Tensor,
    train: Tensor,
    test: Tensor,
    grid: Tensor,
) -> tuple[Tensor, Tensor]:
    """Held-out predictions (models, n, v), and the parts (bands, n, v) of the first model's."""
    count, bands, splits = len(models), len(kernels), len(train)
    least = y.new_full((count, splits, y.shape[1]), torch.inf)
    dual = y.new_zeros(count, splits, train.shape[1], y.shape[1])
    gamma = y.new_zeros(count, splits, bands, y.shape[1])
    for candidate, member in zip(weights, models.T, strict=True):
        kernel = torch.tensordot(candidate, kernels, 1)
        ridge = SplitRidge.of(kernel, train, test)
        mine = member.nonzero().flatten()
        for split in range(splits):
            v, _ = ridge.rotate(y, split)
            error = (ridge.leave_one_out(split, grid) @ v).square().sum(1)
            lowest, which = error.min(0)
            # Directions without variance predict nothing; rounding would, at small penalties.
            s = ridge.s[split][:, None]
            coefficients = ridge.u[split] @ torch.where(s > 0, v / (s + grid[which]), 0.0)
            better = lowest < least[mine, split]
            least[mine, split] = torch.where(better, lowest, least[mine, split])
            dual[mine, split] = torch.where(better[:, None], coefficients, dual[mine, split])
            gamma[mine, split] = torch.where(
                better[:, None], candidate[:, None], gamma[mine, split]
            )
    return _predict(kernels, y, train, test, dual, gamma)


def _predict(
    kernels: Tensor, y: Tensor, train: Tensor, test: Tensor, dual: Tensor, gamma: Tensor
) -> tuple[Tensor, Tensor]:
    bands = len(kernels)
    prediction = y.new_zeros(len(dual), *y.shape)
    parts = y.new_zeros(bands, *y.shape)
    for split, (inside, held) in enumerate(zip(train, test, strict=True)):
        cross = kernels[:, held[:, None], inside]
        cross = cross - kernels[:, inside[:, None], inside].mean(1, keepdim=True)
        by_band = torch.einsum("bhi,miv,mbv->mbhv", cross, dual[:, split], gamma[:, split])
        prediction[:, held] = y[inside].mean(0) + by_band.sum(1)
        parts[:, held] = by_band[0]
    return prediction, parts


def _common(parts: Tensor, y: Tensor) -> Tensor:
    """Share of each band in the covariance of prediction and response, (bands, v)."""
    covariance = (parts * (y - y.mean(0))).sum(1)
    total = covariance.sum(0)
    return torch.where(total > 0, covariance / total.clamp_min(1e-300), 0.0)
