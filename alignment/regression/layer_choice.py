"""Ridge scores of every layer, and of the layer that other folds choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import positive_r2
from alignment.ridge import crossvalidated_prediction, loo_ridge


@dataclass(frozen=True)
class LayerScores:
    """Squared positive correlations of held-out predictions.

    Attributes
    ----------
    by_layer : tensor of shape (layers, v)
    selected : tensor of shape (v,), optional
        Of predictions by the layer that was chosen without the predicted fold; None for one layer
        or fewer than three folds.
    layer : tensor of shape (folds, v), optional
        Which layer that was.
    """

    by_layer: Float[Tensor, "layers v"]
    selected: Float[Tensor, " v"] | None
    layer: Int[Tensor, "folds v"] | None


def layer_scores(
    layers: Iterable[Float[Tensor, "n _"]],
    y: Float[Tensor, "n v"],
    folds: Int[Tensor, " n"],
    alphas: Float[Tensor, " a"],
) -> LayerScores:
    """Score every layer by cross-validation, and the choice of a layer by nested cross-validation.

    For an outer fold f, each other fold g is predicted from the rest without f and g. The layer
    with the largest squared positive correlation over these inner predictions predicts f, for
    every target by itself. No response of f takes part in its choice. The fit without f and g
    serves both folds, so that k folds cost ``k (k - 1) / 2`` more fits of a layer.

    Parameters
    ----------
    layers : iterable of tensors of shape (n, p)
    y : tensor of shape (n, v)
    folds : tensor of shape (n,)
    alphas : tensor of shape (a,)
        Penalties, chosen by leave-one-out in training (alignment/ridge.py).
    """
    layers = list(layers)
    names = folds.unique().tolist()
    outer = [crossvalidated_prediction(x, y, folds, alphas) for x in layers]
    by_layer = torch.stack([positive_r2(found, y) for found in outer])
    if len(layers) < 2 or len(names) < 3:
        return LayerScores(by_layer, None, None)
    best = y.new_full((len(names), y.shape[1]), -1.0)
    layer = torch.zeros(best.shape, dtype=torch.long)
    prediction = torch.empty_like(y)
    for number, (x, found) in enumerate(zip(layers, outer, strict=True)):
        inner = _inner_predictions(x, y, folds, names, alphas)
        for f, name in enumerate(names):
            own = folds == name
            score = positive_r2(inner[f][~own], y[~own])
            better = score > best[f]
            best[f, better], layer[f, better] = score[better], number
            prediction[own] = torch.where(better, found[own], prediction[own])
    return LayerScores(by_layer, positive_r2(prediction, y), layer)


def _inner_predictions(
    x: Tensor, y: Tensor, folds: Tensor, names: list[int], alphas: Tensor
) -> Float[Tensor, "folds n v"]:
    """For every outer fold, predictions of the others without it; its own rows are not set."""
    inner = y.new_zeros(len(names), *y.shape)
    for f in range(len(names)):
        for g in range(f + 1, len(names)):
            first, second = folds == names[f], folds == names[g]
            train, test = ~(first | second), first | second
            found = torch.empty_like(y)
            found[test] = loo_ridge(x[train], y[train], x[test], alphas).prediction
            inner[f][second], inner[g][first] = found[second], found[first]
    return inner
