"""How much each layer adds to what the others explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from alignment.regression.banded_ridge import banded_ridge
from alignment.ridge import penalties
from alignment.selection import group_medians
from datamodules.stimuli import ResponseSet
from evaluation.features import Features, Pooling
from evaluation.quantities import Quantity
from evaluation.rows import Score
from evaluation.summaries import voxel_rows


class LayerContributions:
    """Banded ridge over the layers, all of them in one regression on five fixed folds.

    ``metric=r2``: a layer alone, and in rows of layer ``selected`` all layers together, each with
    a weight of its own that training chose. ``metric=r2_added``: r² of all layers less that of all
    but this one; small where other layers hold the same. ``metric=r2_share``: its part of the r²
    of all layers; the parts sum to it (alignment/regression/banded_ridge.py).
    What a row stands for: evaluation/summaries.py.

    Parameters
    ----------
    name : str
    responses : ResponseSet
    log10_alphas : (low, high, steps)
        Penalties on layers scaled to a mean squared norm of 1.
    n_candidates : int
        Random weights for the model of all layers and for every model without one of them.
    seed : int
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        log10_alphas: Sequence[float] = (-6, 4, 21),
        n_candidates: int = 30,
        seed: int = 0,
        pooling: Pooling = "mean",
    ) -> None:
        self.name = name
        self.responses = responses
        self.stimuli = responses.stimuli
        self.pooling: Pooling = pooling
        self.n_candidates, self.seed = n_candidates, seed
        self.alphas = penalties(log10_alphas)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        layers = [feature.values for feature in features.values()]
        responses = self.responses
        found = banded_ridge(
            layers, responses.values, responses.folds, self.alphas, self.n_candidates, self.seed
        )

        def together(targets: Tensor, groups: Tensor) -> Tensor:
            return group_medians(found.joint[targets], groups)

        rows = list(voxel_rows(self.name, responses, "r2", [*features], found.alone, together))
        for metric, values in (("r2_added", found.added), ("r2_share", found.share)):
            what = Quantity(metric, kind="contribution")
            rows += voxel_rows(self.name, responses, what, [*features], values)
        return rows
