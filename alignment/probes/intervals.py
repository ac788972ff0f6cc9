"""What a metric would have been with other clips: bootstrap replicates over tested rows."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from alignment.inference import unit_counts


def accuracy_replicates(
    hits: Bool[Tensor, " rows"], n: int = 1000, seed: int = 0
) -> Float[Tensor, " n"]:
    """Share of hits in ``n`` samples of the rows with replacement."""
    return unit_counts(len(hits), n, seed) @ hits.cpu().double() / len(hits)


def precision_replicates(
    scores: Float[Tensor, "rows classes"],
    targets: Bool[Tensor, "rows classes"],
    n: int = 200,
    seed: int = 0,
) -> Float[Tensor, " n"]:
    """Mean average precision in ``n`` samples of the rows with replacement.

    With w the times that a row was drawn, precision at rank k is ``Σ_{i<=k} w y / Σ_{i<=k} w``:
    scores are sorted once for all samples. A class without a positive row in a sample does not
    count in that sample.
    """
    falling, order = (-scores.T.cpu()).contiguous().sort(-1)
    positive = targets.T.cpu().gather(-1, order).double()
    last = torch.searchsorted(falling, falling, right=True) - 1
    values = []
    for counts in unit_counts(len(scores), n, seed):
        weight = counts[order]
        found = (weight * positive).cumsum(-1).gather(-1, last)
        seen = weight.cumsum(-1).gather(-1, last).clamp_min(1)
        share = (weight * positive * found / seen).sum(-1) / (weight * positive).sum(-1)
        values.append(share.nanmean())
    return torch.stack(values)
