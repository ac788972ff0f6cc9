"""Brain alignment of time-averaged features: ridge regression and similarities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from alignment.inference import positive_r2
from alignment.ridge import crossvalidated_prediction, penalties
from datamodules.stimuli import ResponseSet
from evaluation.features import Features, Pooling
from evaluation.rows import Score
from evaluation.similarities import compare_all, of_stimuli
from evaluation.summaries import new_row


class ResponseAlignment:
    """How features resemble the responses to the same stimuli.

    ``metric=r2``, one row per layer and target: ridge regression over the fixed folds, the
    penalty chosen by leave-one-out in training; predictions of all folds are put together and
    correlated with the responses; r², 0 where r is negative (Pepino et al. 2025). Uncorrected
    for noise; the ceiling stands beside where it is known.

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
        rows = []
        for layer, feature in features.items():
            x = feature.values.double()
            if self.regression:
                rows += self._regression(layer, x)
            found = compare_all(self.similarities, x, self.responses.values)
            rows += [self._row(metric, layer, value) for metric, value in found.items()]
        return rows

    def _row(self, metric: str, layer: str, value: Tensor, **fields: object) -> Score:
        return new_row(self.name, self.responses, metric, layer, float(value), **fields)

    def _regression(self, layer: str, x: Tensor) -> list[Score]:
        prediction = crossvalidated_prediction(
            x, self.responses.values, self.responses.folds, self.alphas
        )
        values = positive_r2(prediction, self.responses.values)
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
