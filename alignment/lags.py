"""How well features explain a response that follows them after a given delay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import positive_r2
from alignment.series.sums import Sums, ridge_path
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
    the delay and by nothing else: ``y`` continues for at least ``max(lags)`` frames more. Features
    and responses are taken less the mean time course of the training stimuli, so that what every
    stimulus has at that time after its onset explains nothing: features that are a clock score 0.
    Each target's penalty is the one with the smallest squared error over the training folds, each
    predicted from the others.

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


def _heldout_r2(
    x: Float[Tensor, "s t k"], y: Float[Tensor, "s t v"], folds: Tensor, alphas: Tensor
) -> Float[Tensor, " v"]:
    # What does not differ between stimuli would be rounding errors once its course is taken out.
    differs = (x - x.mean(0)).square().sum((0, 1)) > 1e-20 * x.square().sum((0, 1))
    x = x * differs
    own = [folds == f for f in folds.unique()]
    count = len(own)

    def less_course(train: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Some stimuli less the mean time course of the training ones, as rows."""
        parts = ((z[which] - z[train].mean(0)).flatten(0, 1) for z in (x, y))  # 0 stays 0
        return next(parts), next(parts)

    def fit(train: Tensor) -> Tensor:
        a, b = less_course(train, train)
        return ridge_path(a.T @ a, a.T @ b, alphas)

    # What is fitted without folds f and g serves f as inner and g as outer fold, and vice versa.
    errors: dict[tuple[int, int], Tensor] = {}
    for f in range(count):
        for g in range(f + 1, count):
            train = ~(own[f] | own[g])
            weights = fit(train)
            zero = weights.new_zeros(len(alphas), y.shape[2])
            for outer, inner in ((f, g), (g, f)):
                errors[outer, inner] = Sums(*less_course(train, own[inner])).error(weights, zero)
    predicted, truth = [], []
    for outer in range(count):
        best = torch.stack([errors[outer, k] for k in range(count) if k != outer]).sum(0).argmin(0)
        weights = fit(~own[outer])
        chosen = weights.gather(0, best[None, None].expand(1, weights.shape[1], -1))[0]
        a, b = less_course(~own[outer], own[outer])
        predicted.append(a @ chosen)
        truth.append(b)
    return positive_r2(torch.cat(predicted), torch.cat(truth))
