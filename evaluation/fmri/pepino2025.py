"""The regression protocol of Pepino, Riera, Kamienkowski & Ferrer 2025."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from alignment.inference import positive_r2
from alignment.nulls import shuffled_rows
from alignment.regression.inner_folds import ALPHAS, nested_ridge
from alignment.selection import group_medians
from datamodules.stimuli import ResponseSet
from evaluation.contrast import regression_difference
from evaluation.features import Features, Pooling
from evaluation.rows import Score
from evaluation.summaries import has_row_each, voxel_rows


class Pepino2025:
    """Ridge regression over five fixed folds; layer and penalty chosen on inner folds.

    ``metric=r2``: predictions of all folds are put together, and their positive correlation with
    the responses (mean over scans) is squared; not corrected for noise. Rows of a layer may use
    that layer alone; rows of layer ``selected`` any of them, chosen for every target and outer
    fold together with the penalty (alignment/regression/inner_folds.py).
    What a row stands for: evaluation/summaries.py.

    Parameters
    ----------
    name : str
    responses : ResponseSet
    alphas : sequence of float
        First grid; it grows where its edge is best.
    permutations : int
        Random orders of the stimuli, for the p-value of every layer and target; none by default.
        For targets that have a row each.
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        alphas: Sequence[float] = ALPHAS,
        pooling: Pooling = "mean",
        permutations: int = 0,
    ) -> None:
        if permutations and not has_row_each(responses):
            raise ValueError(
                f"{name}: permutations are for targets that have a row each, such as components; "
                "participants are tested against a reference: encoder@reference=NAME"
            )
        self.permutations = permutations
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

        rows = voxel_rows(self.name, self.responses, "r2", [*features], by_layer, choose)
        return [*self._tested(rows, layers)] if self.permutations else [*rows]

    def _tested(self, rows: Iterator[Score], layers: Sequence[Tensor]) -> Iterator[Score]:
        """Rows with the p-value of their layer and target; they come layer by layer."""
        sets = [[x] for x in layers] + [layers]
        for which in sets:
            test = shuffled_rows(partial(self._r2, which), self.responses.values, self.permutations)
            for p in test.p.tolist():
                yield replace(next(rows), p=p)

    def difference(
        self, features: Mapping[str, Features], reference: Mapping[str, Features]
    ) -> list[Score]:
        """Held-out predictions of one encoder against those of another."""
        y, folds = self.responses.values, self.responses.folds
        a, b = (
            nested_ridge([f.values for f in found.values()], y, folds, self.alphas).prediction
            for found in (features, reference)
        )
        return regression_difference(self.name, self.responses, a, b)

    def _r2(self, layers: Sequence[Tensor], y: Tensor | None = None) -> Tensor:
        y = self.responses.values if y is None else y
        return positive_r2(nested_ridge(layers, y, self.responses.folds, self.alphas).prediction, y)
