"""Brain alignment of time-averaged features: ridge regression and similarities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from alignment.regression.layer_choice import layer_scores
from alignment.ridge import penalties
from datamodules.stimuli import ResponseSet
from evaluation.features import Features, Pooling
from evaluation.rows import SELECTED, Score
from evaluation.similarities import compare_all, compare_selected, of_stimuli
from evaluation.summaries import new_row


class ResponseAlignment:
    """How features resemble the responses to the same stimuli.

    ``metric=r2``, one row per layer and target: ridge regression over the fixed folds, the
    penalty chosen by leave-one-out in training; predictions of all folds are put together and
    correlated with the responses; r², 0 where r is negative (Pepino et al. 2025). Uncorrected
    for noise; the ceiling stands beside where it is known.

    Rows of layer ``selected``, where there are several layers: the layer was chosen on other folds
    than the score is of (alignment/regression/layer_choice.py, evaluation/similarities.py). They
    are what encoders are compared by; the best of the other rows is optimistic.

    ``metric=rsa``, one row per layer: Spearman correlation between the dissimilarities
    (1 - Pearson) of all pairs of stimuli in features and in responses, both z-scored over
    stimuli. Other similarities likewise: those of ``evaluation.similarities.OF_STIMULI``, and
    ``alignment.MODULE.FUNCTION`` of one's own.

    Parameters
    ----------
    name : str
        ``fmri/…`` or ``ecog/…``.
    responses : ResponseSet
    log10_alphas : (low, high, steps)
        Grid of ridge penalties; features are centred, not scaled.
    pooling : {"mean", "mean_std", "quarters"}
    metrics : sequence of str
        ``rsa`` needs at least three targets.
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        log10_alphas: Sequence[float] = (-9, 9, 37),
        pooling: Pooling = "mean",
        metrics: Sequence[str] = ("r2", "rsa"),
    ) -> None:
        if not isinstance(responses, ResponseSet):
            raise TypeError(
                f"{name}: responses are a {type(responses).__name__}, expected a ResponseSet "
                "(docs/adding.md, A brain data set)"
            )
        if "rsa" in metrics and len(responses.targets) < 3:
            raise ValueError(
                f"{name}: {len(responses.targets)} targets, but correlation distances need at "
                "least three: write metrics: [r2] into its yaml"
            )
        self.regression = "r2" in metrics
        self.similarities = of_stimuli(name, metrics, also=("r2",))
        self.name = name
        self.responses = responses
        self.stimuli = responses.stimuli
        self.pooling: Pooling = pooling
        self.alphas = penalties(log10_alphas)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        layers = {name: feature.values.double() for name, feature in features.items()}
        regression = self._regression(layers) if self.regression else {}
        y, folds = self.responses.values, self.responses.folds
        rows = []
        for layer, x in layers.items():
            rows += regression.pop(layer, [])
            found = compare_all(self.similarities, x, y)
            rows += [self._row(metric, layer, value) for metric, value in found.items()]
        rows += regression.pop(SELECTED, [])
        chosen = compare_selected(self.similarities, list(layers.values()), y[None], folds)
        return rows + [self._row(metric, SELECTED, value) for metric, value in chosen.items()]

    def _row(self, metric: str, layer: str, value: Tensor, **fields: object) -> Score:
        return new_row(self.name, self.responses, metric, layer, float(value), **fields)

    def _regression(self, layers: Mapping[str, Tensor]) -> dict[str, list[Score]]:
        """Rows by layer, those of ``selected`` among them where there are several layers."""
        responses = self.responses
        found = layer_scores(layers.values(), responses.values, responses.folds, self.alphas)
        values = dict(zip(layers, found.by_layer, strict=True))
        if found.selected is not None:
            values[SELECTED] = found.selected
        return {layer: self._rows_of_targets(layer, value) for layer, value in values.items()}

    def _rows_of_targets(self, layer: str, values: Tensor) -> list[Score]:
        ceiling = self.responses.ceiling
        return [
            self._row(
                "r2",
                layer,
                values[i],
                target=target,
                ceiling=None if ceiling is None else float(ceiling[i]),
            )
            for i, target in enumerate(self.responses.targets)
        ]
