"""The layer of a probe that clips outside of the scored ones choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from datamodules.stimuli import StimulusSet
from datamodules.tasks.task import TRAIN_VALID_TEST, Task
from evaluation.downstream import measures
from evaluation.downstream.probes import Probe, with_validation


class LayerChoice:
    """Collects the decisions of layers and keeps, for every split, those of the chosen one.

    With several splits the layer of each is the one with the best mean over the tests of the
    others. With a single one it is the one that is best on validation clips, by a probe that was
    trained without them and without the tested clips.

    Parameters
    ----------
    probe : Probe
    task : Task
    layers : mapping from name to features of shape (clips, dim)
    """

    def __init__(self, probe: Probe, task: Task, layers: Mapping[str, Tensor]) -> None:
        self.task, self.splits = task, task.splits
        self.measure = measures.measures(task)[0]
        self.best = [-math.inf] * len(self.splits)
        self.decisions: list[Tensor] = []
        """Of the chosen layer, by split."""
        self.layers: list[str] = [""] * len(self.splits)
        self._held: dict[str, float] = {}
        one = getattr(probe, "layers", "each") != "each"  # a mix of layers, or the last alone
        if len(self.splits) == 1 and len(layers) > 1 and not one:
            self._held = validation_values(probe, task, layers, self.measure)

    def add(self, layer: str, decisions: Sequence[Tensor]) -> None:
        """Take in the decisions of a layer on the tested clips of every split."""
        truth = [self.task.member[split.test] for split in self.splits]
        values = [
            measures.value(self.measure, found, true, self.task.classes)
            for found, true in zip(decisions, truth, strict=True)
        ]
        if not self.decisions:
            self.decisions = list(decisions)
        for k in range(len(values)):
            others = [value for g, value in enumerate(values) if g != k]
            score = sum(others) / len(others) if others else self._held.get(layer, -math.inf)
            if math.isfinite(score) and score > self.best[k]:
                self.best[k], self.layers[k] = score, layer
                self.decisions[k] = decisions[k]


def validation_values(
    probe: Probe, task: Task, layers: Mapping[str, Tensor], measure: str
) -> dict[str, float]:
    """By layer, the value on validation clips of a task that is tested once."""
    split = with_validation(task.splits[0], task)
    rows = (~split.test).nonzero().flatten()
    folds = task.folds.new_zeros(len(rows))
    folds[split.valid[rows]] = TRAIN_VALID_TEST.index("test")
    stimuli = task.stimuli
    part = replace(
        task,
        stimuli=StimulusSet(
            stimuli.name,
            [stimuli.ids[i] for i in rows.tolist()],
            [stimuli.sources[i] for i in rows.tolist()],
        ),
        labels=task.labels[rows],
        folds=folds,
        fold_names=TRAIN_VALID_TEST,
    )
    truth = part.member[part.splits[0].test]
    some = {name: values[rows] for name, values in layers.items()}
    return {
        layer: measures.value(measure, found[0], truth, task.classes)
        for layer, found in probe.decisions(some, part)
    }
