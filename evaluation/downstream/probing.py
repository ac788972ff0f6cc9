"""Downstream probes: what a layer's features are good for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from alignment.inference import mean_interval, percentile_interval
from datamodules.tasks.events import EventTask
from datamodules.tasks.task import Task
from evaluation.downstream import measures
from evaluation.downstream.layer_choice import LayerChoice
from evaluation.downstream.probes import NAMED, MajorityClass, Probe
from evaluation.features import Features, Pooling
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score, meaning

log = logging.getLogger(__name__)

SHUFFLED, MAJORITY = "shuffled labels", "majority class"
"""Controls that need no other encoder."""


class ClassificationProbe:
    """Classifiers on features of every layer, over the task's fixed folds.

    A metric is the name of a probe and that of a measure: ``knn_accuracy``, ``linear_map``. One
    row for every layer, or for ``mix`` where all are learned from together, and with several folds
    one for each of these too (``target``). Rows of layer ``selected``, where there are several:
    the layer that other clips choose (evaluation/downstream/layer_choice.py). They are what
    encoders are compared by; the best of the other rows is optimistic.

    The quick form has ``knn`` and ``linear``; the full one also ``logistic`` and ``mlp_fast``, and
    for tasks of several labels a clip more measures. See
    :mod:`evaluation.downstream.probes`, which has the published ``mlp`` and ``hear_mlp`` too, and
    :mod:`evaluation.downstream.measures`.

    Parameters
    ----------
    name : str
        ``probe/…``.
    task : Task
    pooling : {"mean", "mean_std", "quarters"}
        What a clip becomes.
    probes, full : sequence of str or Probe
        Of the quick and of the full form, by name or made.
    interval : {"folds", "clips"}, optional
        95 % intervals by Student's t over folds, or by bootstrap over the clips of each fold;
        by default over folds, where there are three or more.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        pooling: Pooling = "mean_std",
        probes: Sequence[str | Probe] = ("knn", "linear"),
        full: Sequence[str | Probe] = ("knn", "linear", "logistic", "mlp_fast"),
        interval: str | None = None,
    ) -> None:
        if interval not in (None, "folds", "clips"):
            raise ValueError(f"{name}: interval is {interval!r}, expected 'folds' or 'clips'")
        self.name = name
        self.task = task
        self.stimuli = task.stimuli
        self.pooling: Pooling = pooling
        self.probes = _make_probes(name, probes)
        self.interval = interval or ("folds" if len(task.splits) > 2 else "clips")
        self._full = _make_probes(name, full)
        self._whole = False
        if task.multilabel:
            absent = sum(int((~task.labels[split.test].any(0)).sum()) for split in task.splits)
            log.info("%s: %d labels have no clip in a tested fold and do not count", name, absent)

    def in_full(self) -> ClassificationProbe:
        """The same with more probes and, of several labels a clip, more measures."""
        made = copy(self)
        known = {probe.name for probe in self.probes}
        made.probes = [*self.probes, *(p for p in self._full if p.name not in known)]
        made._whole = True
        return made

    def with_probes(self, probes: Sequence[str | Probe]) -> ClassificationProbe:
        """The same with these probes and no others, quick and in full."""
        made = copy(self)
        made.probes = made._full = _make_probes(self.name, probes)
        return made

    def controls(self) -> dict[str, ClassificationProbe]:
        """The same with shuffled labels, and by a majority-class baseline.

        The permutation of labels is the same for every encoder.
        """
        order = torch.randperm(len(self.stimuli), generator=torch.Generator().manual_seed(0))
        shuffled, blind = copy(self), copy(self)
        shuffled.task = replace(self.task, labels=self.task.labels[order])
        blind.probes = [MajorityClass(probe) for probe in self.probes]
        return {SHUFFLED: shuffled, MAJORITY: blind}

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        layers = {name: feature.values for name, feature in features.items()}
        return [row for probe in self.probes for row in self._score_probe(probe, layers)]

    def _score_probe(self, probe: Probe, layers: Mapping[str, Tensor]) -> Iterator[Score]:
        choice, count = LayerChoice(probe, self.task, layers), 0
        for layer, decisions in probe.decisions(layers, self.task):
            count += 1
            choice.add(layer, decisions)
            yield from self._measure(probe, layer, decisions)
        if count > 1:
            yield from self._measure(probe, SELECTED, choice.decisions)

    def _measure(self, probe: Probe, layer: str, decisions: Sequence[Tensor]) -> Iterator[Score]:
        for measure in measures.measures(self.task, self._whole):
            yield from self._rows(Quantity(measure, probe.name), layer, decisions)

    def _rows(self, quantity: Quantity, layer: str, decisions: Sequence[Tensor]) -> Iterator[Score]:
        """One row over all splits and, where there are several, one for each."""
        measure = quantity.of
        task, truth = self.task, [self._truth(split.test) for split in self.task.splits]
        values = [
            measures.value(measure, found, true, task.classes)
            for found, true in zip(decisions, truth, strict=True)
        ]
        if measure == "d_prime" and not all(map(math.isfinite, values)):
            log.warning(
                "%s: d' of layer %s is infinite: a class is separated without error",
                quantity.name,
                layer,
            )
            return
        chances = [measures.chance(measure, true, task.classes) for true in truth]
        mean = sum(values) / len(values)
        simulated = task.provenance.simulated
        low, high = self._bounds(measure, decisions, truth, values)
        fields = {**meaning(quantity), "simulated": simulated, "n": len(self.stimuli)}
        row = Score(self.name, layer=layer, value=mean, **fields)
        yield replace(row, chance=sum(chances) / len(chances), ci_low=low, ci_high=high)
        yield from fold_rows(row, task, values, chances)

    def _truth(self, test: Tensor) -> Tensor:
        member = self.task.member[test]
        if not member.any():
            raise ValueError(
                f"{self.name}: no clip of a tested fold has a label, so that there is nothing to "
                "score: check the folds of the task"
            )
        return member

    def _bounds(
        self,
        measure: str,
        decisions: Sequence[Tensor],
        truth: Sequence[Tensor],
        values: Sequence[float],
    ) -> tuple[float, float] | tuple[None, None]:
        if self.interval == "folds":
            low, high = bounds = mean_interval(torch.tensor(values, dtype=torch.float64))
            if low is None or high is None or measure == "d_prime":
                return bounds
            return max(low, 0.0), min(high, 1.0)  # the other measures end there
        drawn = [
            measures.replicates(measure, found, true, self.task.classes, seed)
            for seed, (found, true) in enumerate(zip(decisions, truth, strict=True))
        ]
        known = [values for values in drawn if values is not None]
        if not known:
            return None, None
        return percentile_interval(torch.stack(known).mean(0))


def fold_rows(
    row: Score,
    task: Task | EventTask,
    values: Sequence[float],
    chances: Sequence[float] | None = None,
) -> Iterator[Score]:
    """A row for every tested fold, where there are several; ``target`` is its name."""
    if len(values) < 2:
        return
    for place, (split, value) in enumerate(zip(task.splits, values, strict=True)):
        fold, n = int(task.folds[split.test][0]), int(split.test.sum())
        name = task.fold_names[fold] if task.fold_names else str(fold)
        chance = chances[place] if chances else None
        yield replace(row, value=value, chance=chance, target=name, n=n, kind="fold")


def _make_probes(name: str, probes: Sequence[str | Probe]) -> list[Probe]:
    unknown = [probe for probe in probes if isinstance(probe, str) and probe not in NAMED]
    if unknown:
        raise ValueError(f"{name}: no probe {unknown[0]!r}: choose from {', '.join(NAMED)}")
    return [NAMED[probe] if isinstance(probe, str) else probe for probe in probes]
