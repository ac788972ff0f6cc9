"""The regression protocol of Pepino, Riera, Kamienkowski & Ferrer 2025."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from alignment.inference import positive_r2
from alignment.inner_folds import ALPHAS, nested_ridge
from alignment.selection import group_medians
from datamodules.stimuli import ResponseSet
from evaluation.benchmark import Score
from evaluation.features import Features, Pooling
from evaluation.summaries import voxel_rows


class Pepino2025:
    """Ridge regression over five fixed folds; layer and penalty chosen on inner folds.

    ``metric=r2``: predictions of all folds are put together, and their positive correlation with
    the responses (mean over scans) is squared; not corrected for noise. Rows of a layer may use
    that layer alone; rows of layer ``selected`` any of them, chosen for every target and outer
    fold together with the penalty (alignment/inner_folds.py).
    What a row stands for: evaluation/summaries.py.

    Parameters
    ----------
    name : str
    responses : ResponseSet
    alphas : sequence of float
        First grid; it grows where its edge is best.
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        alphas: Sequence[float] = ALPHAS,
        pooling: Pooling = "mean",
    ) -> None:
        self.name = name
        self.responses = responses
        self.stimuli = responses.stimuli
        self.alphas = tuple(alphas)
        self.pooling: Pooling = pooling

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        layers = [feature.values for feature in features.values()]
        by_layer = torch.stack([self._r2([x]) for x in layers])
        together = by_layer[0] if len(layers) == 1 else self._r2(layers)

        def choose(targets: Tensor, groups: Tensor) -> Tensor:
            return group_medians(together[targets], groups)

        return list(voxel_rows(self.name, self.responses, "r2", [*features], by_layer, choose))

    def _r2(self, layers: Sequence[Tensor]) -> Tensor:
        y = self.responses.values
        return positive_r2(nested_ridge(layers, y, self.responses.folds, self.alphas).prediction, y)
