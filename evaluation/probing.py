"""Downstream probes: what a layer's features are good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from alignment.classifiers import knn, ridge_classifier
from alignment.inference import mean_interval
from datamodules.stimuli import Task
from evaluation.benchmark import Score
from evaluation.features import Features, Pooling


class ClassificationProbe:
    """Accuracy of two cheap classifiers on every layer, over the task's fixed folds.

    ``metric=knn_accuracy``: k = 10 nearest neighbours by cosine. ``metric=linear_accuracy``:
    ridge to one-hot labels, the penalty by leave-one-out in training. Value and 95 % interval
    are over folds.

    Parameters
    ----------
    name : str
        ``probe/…``.
    task : Task
    pooling : {"mean", "mean_std", "quarters"}
        What a clip becomes.
    k : int
    log10_alphas : (low, high, steps)
        Grid of ridge penalties on standardised features.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        pooling: Pooling = "mean_std",
        k: int = 10,
        log10_alphas: Sequence[float] = (-1, 6, 15),
    ) -> None:
        self.name = name
        self.task = task
        self.stimuli = task.stimuli
        self.pooling: Pooling = pooling
        self.k = k
        low, high, steps = log10_alphas
        self.alphas = torch.logspace(low, high, int(steps), dtype=torch.float64)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        rows = []
        for layer, feature in features.items():
            x = feature.values.double()
            rows.append(self._row("knn_accuracy", layer, self._accuracies(x, self._knn)))
            rows.append(self._row("linear_accuracy", layer, self._accuracies(x, self._linear)))
        return rows

    def _row(self, metric: str, layer: str, accuracies: Tensor) -> Score:
        low, high = mean_interval(accuracies)
        return Score(
            self.name,
            metric,
            layer,
            float(accuracies.mean()),
            ci_low=low,
            ci_high=high,
            n=len(self.stimuli),
            simulated=self.task.provenance.simulated,
        )

    def _knn(self, x: Tensor, labels: Tensor, x_test: Tensor) -> Tensor:
        return knn(x, labels, x_test, len(self.task.classes), self.k)

    def _linear(self, x: Tensor, labels: Tensor, x_test: Tensor) -> Tensor:
        return ridge_classifier(x, labels, x_test, len(self.task.classes), self.alphas)

    def _accuracies(
        self, x: Tensor, classify: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Accuracy on each fold by a classifier that was fitted on the others."""
        labels, folds = self.task.labels, self.task.folds
        accuracies = []
        for fold in folds.unique():
            test = folds == fold
            predicted = classify(x[~test], labels[~test], x[test])
            accuracies.append((predicted == labels[test]).double().mean())
        return torch.stack(accuracies)
