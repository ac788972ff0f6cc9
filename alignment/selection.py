"""Choosing a layer on one half of the splits and scoring it on the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class LayerSelection:
    """Held-out score of the chosen layer.

    Attributes
    ----------
    score : float
        Mean over groups.
    per_group : tensor of shape (groups,)
        Mean over iterations of the median over a group's targets, groups in sorted order.
    layer : tensor of shape (iterations, targets)
        The layer that each iteration chose for each target.
    """

    score: float
    per_group: Float[Tensor, " groups"]
    layer: Int[Tensor, "iterations targets"]


def heldout_best_layer(
    scores: Float[Tensor, "layers targets splits"],
    groups: Int[Tensor, " targets"],
    n_iterations: int = 10,
    clip: float | None = 1.0,
    seed: int = 0,
) -> LayerSelection:
    """Score of each target's best layer, chosen and scored on different splits.

    Tuckute et al. 2023: in every iteration half of the splits is drawn again for each layer and
    target; the layer with the largest median over the drawn half is taken (ties at random), and
    its median over the other half is the score. Then the median over the targets of a group
    (participant), the mean over iterations, the mean over groups.

    Parameters
    ----------
    scores : tensor of shape (layers, targets, splits)
    groups : tensor of shape (targets,)
        Participant of each target; give each target a group of its own to score components.
    n_iterations : int
        Iteration i draws with seed ``seed + i``.
    clip : float, optional
        Medians are cut to this value; None leaves them (uncorrected R²).
    seed : int

    Raises
    ------
    ValueError
        If a score is NaN, or there is only one split.
    """
    layers, targets, splits = scores.shape
    if splits < 2:
        raise ValueError(f"{splits} split: choosing and scoring on different splits needs two")
    if bool(scores.isnan().any()):
        bad = scores.isnan().nonzero()[0].tolist()
        raise ValueError(
            f"score of layer {bad[0]}, target {bad[1]}, split {bad[2]} is not a number"
        )
    _, members = groups.unique(return_inverse=True)
    values, chosen = [], []
    for iteration in range(n_iterations):
        first = torch.from_numpy(_halves(layers, targets, splits, seed + iteration))
        first = first.to(scores.device)
        select, held = _median_where(scores, first), _median_where(scores, ~first)
        if clip is not None:
            select, held = select.clamp_max(clip), held.clamp_max(clip)
        layer = _argmax_random_ties(select, seed)
        chosen.append(layer)
        values.append(group_medians(held.gather(0, layer[None])[0], members))
    per_group = torch.stack(values).mean(0)
    return LayerSelection(float(per_group.mean()), per_group, torch.stack(chosen))


def depth(scores: Float[Tensor, "layers targets"]) -> Float[Tensor, " targets"]:
    """Place of each target's best layer: 0 for the first, 1 for the last (and only) layer."""
    last = max(len(scores) - 1, 1)
    return scores.argmax(0).double() / last


def group_medians(values: Float[Tensor, "*batch targets"], members: Tensor) -> Tensor:
    """Median over the targets of each group 0 … G - 1, shape (…, groups)."""
    groups = range(int(members.max()) + 1)
    return torch.stack([values[..., members == g].quantile(0.5, -1) for g in groups], -1)


@lru_cache(maxsize=32)
def _halves(layers: int, targets: int, splits: int, seed: int) -> np.ndarray:
    """Which splits choose, for every layer and target: the original's stream of shuffles.

    The draws depend on no data, so that they are made once for all checkpoints.
    """
    generator = np.random.RandomState(seed)
    marks = np.arange(splits) % 2
    drawn = np.empty((layers, targets, splits), dtype=bool)
    for layer in range(layers):
        for target in range(targets):
            row = marks.copy()
            generator.shuffle(row)
            drawn[layer, target] = row
    return drawn


def _median_where(scores: Tensor, marked: Tensor) -> Tensor:
    """Median over the marked splits, of which every row has equally many."""
    count = int(marked[0, 0].sum())
    return scores[marked].view(*scores.shape[:2], count).quantile(0.5, -1)


def _argmax_random_ties(values: Float[Tensor, "layers targets"], seed: int) -> Tensor:
    """Layer with the largest value; among equals one at random, targets drawn in turn."""
    best = values == values.max(0).values
    layer = best.int().argmax(0)
    generator = np.random.RandomState(seed)
    for target in (best.sum(0) > 1).nonzero().flatten().tolist():
        layer[target] = int(generator.choice(best[:, target].nonzero().flatten().cpu().numpy()))
    return layer
