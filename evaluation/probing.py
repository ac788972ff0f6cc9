"""Downstream probes: what a layer's features are good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from alignment.classifiers import knn, knn_shares, ridge_classifier, ridge_decisions
from alignment.inference import mean_interval
from datamodules.stimuli import Task
from datamodules.tasks.hear import hear_task
from datamodules.tasks.hear_files import hear_folders
from evaluation.benchmark import Score
from evaluation.features import Features, Pooling


class ClassificationProbe:
    """Two cheap classifiers on every layer, over the task's fixed folds.

    ``metric=knn_accuracy``: k = 10 nearest neighbours by cosine. ``metric=linear_accuracy``:
    ridge to one-hot labels, the penalty by leave-one-out in training. Value and 95 % interval
    are over folds; a task that is tested once has no interval. Nothing is chosen on validation
    clips: they train.

    Where sounds may have several labels the same two are scored by the mean over classes of the
    average precision, ``knn_map`` and ``linear_map``; classes without a tested clip are left out.

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
        measure = "map" if self.task.multilabel else "accuracy"
        rows = []
        for layer, feature in features.items():
            x = feature.values.double()
            rows.append(self._row(f"knn_{measure}", layer, self._values(x, self._knn)))
            rows.append(self._row(f"linear_{measure}", layer, self._values(x, self._linear)))
        return rows

    def _row(self, metric: str, layer: str, values: Tensor) -> Score:
        low, high = mean_interval(values)
        return Score(
            self.name,
            metric,
            layer,
            float(values.mean()),
            ci_low=low,
            ci_high=high,
            n=len(self.stimuli),
            simulated=self.task.provenance.simulated,
        )

    def _knn(self, x: Tensor, labels: Tensor, x_test: Tensor) -> Tensor:
        if self.task.multilabel:
            return knn_shares(x, labels, x_test, self.k)
        return knn(x, labels, x_test, len(self.task.classes), self.k)

    def _linear(self, x: Tensor, labels: Tensor, x_test: Tensor) -> Tensor:
        if self.task.multilabel:
            return ridge_decisions(x, labels, x_test, self.alphas)
        return ridge_classifier(x, labels, x_test, len(self.task.classes), self.alphas)

    def _values(self, x: Tensor, classify: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Accuracy or mAP of each tested fold by a classifier that was fitted on the others."""
        labels = self.task.labels
        values = []
        for split in self.task.splits:
            test = split.test
            found = classify(x[~test], labels[~test], x[test])
            if self.task.multilabel:
                values.append(_mean_average_precision(found, labels[test], self.name))
            else:
                values.append((found == labels[test]).double().mean())
        return torch.stack(values)


def _mean_average_precision(decisions: Tensor, labels: Tensor, name: str) -> Tensor:
    """Mean over the classes that occur; decisions and labels of shape (clips, classes)."""
    occurs = labels.any(0)
    if not occurs.any():
        raise ValueError(
            f"{name}: no clip of a tested fold has a label, so that there is no average precision: "
            "check the folds of the task"
        )
    truth, scores = labels[:, occurs].cpu().numpy(), decisions[:, occurs].cpu().numpy()
    return torch.tensor(average_precision_score(truth, scores, average="macro")).double()


def hear_probes(
    folder: str | Path | None,
    name: str = "probe/hear",
    pooling: Pooling = "mean",
    sample_rate: int | None = None,
    licence: str = "",
) -> dict[str, Callable[[], ClassificationProbe]]:
    """A probe for every task in HEAR's format in a folder, by the name of the task's folder.

    Parameters
    ----------
    folder : path
        A folder of task folders, or one task folder.
    sample_rate : int, optional
        Which of a task's folders of sounds to read (Hz); the highest by default.

    Returns
    -------
    dict
        Functions that make the probes: one task that cannot be read does not hinder the others.
    """

    def made(place: Path) -> ClassificationProbe:
        task = hear_task(place, sample_rate, licence=licence)
        return ClassificationProbe(f"{name}/{place.name}", task, pooling)

    return {place.name: partial(made, place) for place in hear_folders(folder)}
