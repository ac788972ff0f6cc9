"""How well features explain a response that follows them after a given delay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import positive_r2
from alignment.series.sums import Sums, centred, ridge_path
from alignment.series.trf import delay as delay
from alignment.series.trf import fit_trf as fit_trf

EXACT = 1536
"""Most features whose principal components are computed exactly."""


def principal_components(x: Float[Tensor, "s t p"], components: int) -> Float[Tensor, "s t k"]:
    """Frames in the space of their first ``components`` principal components, float64.

    Means and axes are those of all frames of all stimuli; no response is seen. Exact up to
    ``EXACT`` features, by seeded subspace iteration (Halko et al. 2011, algorithm 4.4) above.
    """
    flat = x.flatten(0, 1).double()
    flat = flat - flat.mean(0)
    axes = _axes(flat, components)
    scores = flat @ axes
    variance = scores.square().sum(0)
    inside = variance > variance[0].clamp_min(1e-300) * 1e-12
    return scores[:, inside].unflatten(0, x.shape[:2])


def _axes(flat: Float[Tensor, "n p"], components: int) -> Float[Tensor, "p k"]:
    n, p = flat.shape
    if p <= EXACT:
        return torch.linalg.eigh(flat.T @ flat).eigenvectors.flip(1)[:, :components]
    generator = torch.Generator().manual_seed(0)
    wide = min(components + 16, n)
    drawn = torch.randn(n, wide, generator=generator, dtype=flat.dtype).to(flat.device)
    basis = torch.linalg.qr(flat.T @ drawn).Q
    for _ in range(4):
        basis = torch.linalg.qr(flat.T @ (flat @ basis)).Q
    _, _, rotation = torch.linalg.svd(flat @ basis, full_matrices=False)
    return basis @ rotation.T[:, :components]


def lag_curve(
    x: Float[Tensor, "s t k"],
    y: Float[Tensor, "s u v"],
    folds: Int[Tensor, " s"],
    lags: Sequence[int],
    alphas: Float[Tensor, " a"],
) -> Float[Tensor, "lags v"]:
    """Held-out r² of ridge regression of ``y[t + lag]`` on ``x[t]``, one lag at a time.

    Whole stimuli are held out. Every lag uses the same frames of ``x``, so that lags differ by
    the delay and by nothing else: ``y`` goes on for at least ``max(lags)`` frames more. Each
    target's penalty is the one with the smallest squared error over the training folds, each
    predicted from the others. All fits are made from sums of squares and products per fold.

    Parameters
    ----------
    x : tensor of shape (stimuli, t, k)
    y : tensor of shape (stimuli, u, v)
        At the rate of ``x``, with u >= t + max(lags).
    lags : sequence of int
        Frames by which the response follows, not negative.
    alphas : tensor of shape (a,)
        Penalties on features scaled to a mean variance of 1.
    """
    length = x.shape[1]
    if min(lags) < 0 or length + max(lags) > y.shape[1]:
        raise ValueError(
            f"lags {min(lags)} … {max(lags)} need {length + max(lags)} frames of response to "
            f"{length} of features, got {y.shape[1]}"
        )
    inputs = x.double()
    inputs = inputs / inputs.std((0, 1)).square().mean().sqrt().clamp_min(1e-30)
    # Lags share the features, and with them the decompositions: they are further targets.
    delayed = torch.cat([y[:, lag : lag + length] for lag in lags], -1).double()
    return _heldout_r2(inputs, delayed, folds, alphas.double()).view(len(lags), -1)


def _heldout_r2(x: Tensor, y: Tensor, folds: Tensor, alphas: Tensor) -> Tensor:
    names = folds.unique()
    parts = [(x[folds == f].flatten(0, 1), y[folds == f].flatten(0, 1)) for f in names]
    sums = [Sums(a, b) for a, b in parts]
    count = len(sums)
    # What is fitted without folds f and g serves f as inner and g as outer fold, and vice versa.
    pairs = {
        (f, g): _fit([sums[k] for k in range(count) if k not in (f, g)], alphas)
        for f in range(count)
        for g in range(f + 1, count)
    }
    predictions = []
    for outer, (a, _) in enumerate(parts):
        rest = [k for k in range(count) if k != outer]
        errors = [sums[k].error(*pairs[min(k, outer), max(k, outer)]) for k in rest]
        best = torch.stack(errors).sum(0).argmin(0)
        weights, offset = _fit([sums[k] for k in rest], alphas)
        pick = best[None, None].expand(1, weights.shape[1], -1)
        chosen = weights.gather(0, pick)[0]
        predictions.append(a @ chosen + offset.gather(0, best[None])[0])
    return positive_r2(torch.cat(predictions), torch.cat([b for _, b in parts]))


def _fit(sums: Sequence[Sums], alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (alphas, k, v) and offsets (alphas, v) of ridge with intercept on several folds."""
    x_mean, y_mean, xx, xy = centred(sums)
    weights = ridge_path(xx, xy, alphas)
    return weights, y_mean - x_mean @ weights
