"""Probes of events: how well a layer's frames say what sounds when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alignment.inference import mean_interval
from alignment.probes.event_frames import event_table, filter_median, label_frames, odd_width
from alignment.probes.frame_ridge import Sums, fit_detector, sums_of, total
from alignment.probes.metrics import Event, matched_f1, segment_error_rate
from alignment.ridge import penalties
from datamodules.tasks.events import EventTask
from datamodules.tasks.task import Split
from evaluation.downstream.probing import fold_rows
from evaluation.features import Features, Pooling
from evaluation.metrics import check_known
from evaluation.rows import SELECTED, Score

F1: dict[str, dict[str, float]] = {
    "event_onset_200ms_f1": {"tolerance": 0.2},
    "event_onset_50ms_f1": {"tolerance": 0.05},
    "event_onset_offset_50ms_20pct_f1": {"tolerance": 0.05, "offset_share": 0.2},
}
ERROR_RATE = "segment_1s_error_rate"
"""The smaller the better, as `evaluation.metrics` knows; of all others, the larger."""
METRICS = (*F1, ERROR_RATE)
THRESHOLDS = (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 1.0, 1.1, 1.2)
"""Between silent frames at 0 and sounding ones at 1; of equal thresholds the first is taken."""


@dataclass(frozen=True)
class Smoothing:
    """From decisions to events: a threshold, a median filter (s) and the shortest event (s)."""

    threshold: float
    median: float
    shortest: float


@dataclass(frozen=True)
class LabelledFrames:
    """Frames of every clip of one layer, with what sounds in each."""

    values: Tensor
    lengths: list[int]
    rate: float
    offset: float
    labels: list[Tensor]

    def of(self, clip: int) -> Tensor:
        """Valid frames of a clip, shape (frames, dim)."""
        return self.values[clip, : self.lengths[clip]]


class EventProbe:
    """A linear detector on single frames of every layer, over the task's fixed folds.

    Frames of layers denser than twenty a second are means of neighbours, about 50 ms long
    (``pooling = "coarse_frames"``). A frame is labelled with what sounds at its centre. One ridge
    regression a class to these labels replaces the perceptron of HEAR: it is solved from sums
    over frames that are made once for each layer and fold, so that minutes of audio are scored in
    seconds at every checkpoint; its penalty is the one with the least squared error on validation
    frames. Runs of frames above a threshold, after a median filter and without the shortest, are
    events. Threshold, filter and shortest event are those with the best first metric on
    validation clips, one choice for all classes; filter and shortest event are from the task's
    own lists, as in HEAR 2021, whose threshold of .5 suits outputs of a sigmoid.

    Value and 95 % interval are over folds; a task that is tested once has no interval.

    Parameters
    ----------
    name : str
        ``probe/…``.
    task : EventTask
        With clips that validate: train, valid and test, or three folds or more.
    metrics : sequence of str, optional
        Of ``METRICS``; by default the task's own. The first makes the choices.
    log10_alphas : (low, high, steps)
        Grid of ridge penalties on standardised features.
    """

    pooling: Pooling = "coarse_frames"
    in_time = True

    def __init__(
        self,
        name: str,
        task: EventTask,
        metrics: Sequence[str] | None = None,
        log10_alphas: Sequence[float] = (-1, 6, 15),
    ) -> None:
        self.name = name
        self.task = task
        self.stimuli = task.stimuli
        self.metrics = tuple(metrics or task.metrics or METRICS[:1])
        check_known(name, self.metrics, METRICS)
        if not all(split.valid.any() for split in task.splits):
            raise ValueError(
                f"{name}: {len(task.splits)} folds leave no clips to choose a threshold on: give "
                "it three folds or more, or train, valid and test"
            )
        self.alphas = penalties(log10_alphas)
        number = {label: i for i, label in enumerate(task.classes)}
        rows = [[(number[e.label], e.start, e.end) for e in events] for events in task.events]
        self.events = [torch.tensor(clip, dtype=torch.float64).view(-1, 3) for clip in rows]

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        rows: list[Score] = []
        found = [self._values(self._frames(feature)) for feature in features.values()]
        values, validation = (torch.stack(part) for part in zip(*found, strict=True))
        layers = dict(zip(features, values, strict=True))
        if len(layers) > 1:  # of each split the layer that is best on its validation clips
            best = validation.argmax(0)
            layers[SELECTED] = values[best, torch.arange(len(best))]
        for layer, table in layers.items():
            for i, name in enumerate(self.metrics):
                rows += self._rows(name, layer, table[:, i])
        return rows

    def _rows(self, metric: str, layer: str, values: Tensor) -> Iterator[Score]:
        low, high = mean_interval(values)
        simulated, n = self.task.provenance.simulated, len(self.stimuli)
        row = Score(self.name, metric, layer, float(values.mean()), n=n, simulated=simulated)
        yield replace(row, ci_low=low, ci_high=high)
        yield from fold_rows(row, self.task, values.tolist())

    def _frames(self, feature: Features) -> LabelledFrames:
        assert feature.lengths is not None
        assert feature.rate is not None
        assert feature.offset is not None
        lengths = feature.lengths.tolist()
        if max(lengths) < 2:
            raise ValueError(
                f"{self.name}: one frame a recording, and events are looked for in frames: choose "
                "an encoder that has some, such as logmel_frames for logmel"
            )
        grid = (feature.rate, feature.offset)
        labels = [
            label_frames(events, len(self.task.classes), length, *grid)
            for events, length in zip(self.events, lengths, strict=True)
        ]
        return LabelledFrames(feature.values, lengths, *grid, labels)

    def _values(self, frames: LabelledFrames) -> tuple[Tensor, Tensor]:
        """Metrics of each tested split (splits, metrics), and the validation metric of each."""
        folds = self.task.folds
        sums = {
            fold: total(sums_of(frames.of(i), frames.labels[i]) for i in _places(folds == fold))
            for fold in folds.unique().tolist()
        }
        found = [self._score_fold(frames, split, sums) for split in self.task.splits]
        values, validation = zip(*found, strict=True)
        return torch.stack(values), torch.tensor(validation, dtype=torch.float64)

    def _score_fold(
        self, frames: LabelledFrames, split: Split, sums: dict[int, Sums]
    ) -> tuple[Tensor, float]:
        train, valid = (
            total(sums[fold] for fold in self.task.folds[part].unique().tolist())
            for part in (split.train, split.valid)
        )
        detector = fit_detector(train, valid, self.alphas)
        decided, decisions = (
            {i: detector(frames.of(i)) for i in _places(part)} for part in (split.valid, split.test)
        )
        smoothing, reached = self._choose(frames, decided)
        found = self._detect_events(frames, decisions, smoothing)
        values = [self._measure(metric, found) for metric in self.metrics]
        if any(map(math.isnan, values)):
            raise ValueError(
                f"{self.name}: no clip of a tested fold has an event, so that there is nothing to "
                "be found: check the folds of the task"
            )
        return torch.tensor(values, dtype=torch.float64), reached

    def _choose(
        self, frames: LabelledFrames, decisions: dict[int, Tensor]
    ) -> tuple[Smoothing, float]:
        """Threshold, filter and shortest event that detect best in some clips, and how well."""
        metric = self.metrics[0]
        sign = -1 if metric == ERROR_RATE else 1
        best, value = Smoothing(THRESHOLDS[0], 0.0, 0.0), float("-inf")
        for tried in self._smoothings():
            reached = sign * self._measure(metric, self._detect_events(frames, decisions, tried))
            if reached > value:
                best, value = tried, reached
        return best, value

    def _smoothings(self) -> Iterator[Smoothing]:
        task = self.task
        for values in product(THRESHOLDS, task.median_seconds, task.shortest_seconds):
            yield Smoothing(*values)

    def _detect_events(
        self, frames: LabelledFrames, decisions: dict[int, Tensor], smoothing: Smoothing
    ) -> dict[int, Tensor]:
        """Class, onset and offset of every event, by the place of the clip."""
        width = odd_width(smoothing.median, frames.rate)
        grid = (frames.rate, frames.offset, smoothing.shortest)
        return {
            clip: event_table(filter_median(decision > smoothing.threshold, width), *grid)
            for clip, decision in decisions.items()
        }

    def _measure(self, metric: str, found: dict[int, Tensor]) -> float:
        true = {clip: self.events[clip] for clip in found}
        if metric == ERROR_RATE:
            return segment_error_rate(
                self._name_events(found), self._name_events(true), seconds=1.0
            )
        return matched_f1(self._kinds(found), self._kinds(true), **F1[metric])

    def _kinds(self, events: dict[int, Tensor]) -> NDArray[np.float64]:
        """Events of all clips in one table, with one number for each clip and class."""
        tables = [table.clone() for table in events.values()]
        for clip, table in zip(events, tables, strict=True):
            table[:, 0] += clip * len(self.task.classes)
        kinds: NDArray[np.float64] = torch.cat(tables).numpy()
        return kinds

    def _name_events(self, events: dict[int, Tensor]) -> dict[str, list[Event]]:
        classes = self.task.classes
        return {
            self.stimuli.ids[clip]: [(classes[int(c)], a, b) for c, a, b in table.tolist()]
            for clip, table in events.items()
        }


def _places(mask: Tensor) -> list[int]:
    found: list[int] = mask.nonzero().flatten().tolist()
    return found
