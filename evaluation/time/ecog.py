"""Responses over time: which layer explains which latency."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from alignment.lags import lag_curve, principal_components
from alignment.regression.layer_choice import layer_scores
from alignment.ridge import penalties
from datamodules.stimuli import TimedResponseSet
from evaluation.features import Features, Pooling
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.similarities import compare_all, compare_selected, of_stimuli
from evaluation.summaries import new_row
from evaluation.time.frames import bin_weights

log = logging.getLogger(__name__)


class TimedAlignment:
    """Alignment of layers with responses that are followed over time.

    ``metric=r2``: ridge from time-averaged features over fixed folds, penalty by leave-one-out
    (alignment/ridge.py). Rows without a window score the mean response over ``span``, one a
    target; rows with ``window`` (seconds from onset, ``0.12``) score each time bin, mean over
    targets.

    ``metric=rsa``: Spearman correlation of dissimilarities, with and without window likewise;
    so are other similarities (evaluation/similarities.py).

    ``metric=lag_r2``: ridge from the features of one moment to the response a delay later, whole
    stimuli held out; ``window`` is the delay in seconds (alignment/lags.py). Features are
    averaged to the response's rate and cut to ``components`` principal components; an encoder
    with one frame a sound has no such rows.

    Rows of layer ``selected``, of ``r2`` and similarities: the layer was chosen on other folds, for
    every target and time bin by itself. Single averages have no noise ceiling.

    Parameters
    ----------
    name : str
        ``ecog/…``.
    responses : TimedResponseSet
    span : (float, float)
        Seconds that the rows without a window average over.
    max_lag : float
        Longest delay (s); 0 leaves the delays out.
    bin_seconds : float
        Length of a time bin.
    metrics : sequence of str
    """

    pooling: Pooling = "frames"

    def __init__(
        self,
        name: str,
        responses: TimedResponseSet,
        span: Sequence[float] = (0.0, 2.0),
        max_lag: float = 0.4,
        bin_seconds: float = 0.12,
        components: int = 64,
        log10_alphas: Sequence[float] = (-9, 9, 37),
        log10_lag_alphas: Sequence[float] = (0, 6, 13),
        metrics: Sequence[str] = ("r2", "rsa"),
    ) -> None:
        self.name = name
        self.regression = "r2" in metrics
        self.similarities = of_stimuli(name, metrics, also=("r2",))
        self.responses = responses
        self.stimuli = responses.stimuli
        self.components = components
        self.alphas, self.lag_alphas = penalties(log10_alphas), penalties(log10_lag_alphas)
        self.max_lag = max_lag
        self.mean = responses.mean_over(*span)
        last = float(responses.times[-1])
        starts = torch.arange(0, last - bin_seconds / 2, bin_seconds).tolist()
        self.bins = [(start, start + bin_seconds) for start in starts]
        self.binned = torch.stack([responses.mean_over(*b) for b in self.bins], 1)
        self.brains = torch.cat([self.mean[None], self.binned.transpose(0, 1)])

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        means = {layer: time_mean(feature) for layer, feature in features.items()}
        regression = self._regression(means) if self.regression else {}
        rows = []
        for layer, feature in features.items():
            rows += regression.pop(layer, [])
            rows += self._similarity(
                layer, compare_all(self.similarities, means[layer], self.brains)
            )
            moving = feature.values.shape[1] > 1  # one frame for the whole sound has no delay
            if self.max_lag > 0 and moving:
                rows += self._lags(layer, feature)
        rows += regression.pop(SELECTED, [])
        layers, folds = list(means.values()), self.responses.folds
        chosen = compare_selected(self.similarities, layers, self.brains, folds)
        return rows + self._similarity(SELECTED, chosen)

    def _row(self, metric: str | Quantity, layer: str, value: Tensor, **fields: object) -> Score:
        return new_row(self.name, self.responses, metric, layer, float(value), **fields)

    def _regression(self, layers: Mapping[str, Tensor]) -> dict[str, list[Score]]:
        """Rows by layer; all time bins and targets are columns of one regression."""
        y = torch.cat([self.mean, self.binned.flatten(1)], 1)
        found = layer_scores(layers.values(), y, self.responses.folds, self.alphas)
        values = dict(zip(layers, found.by_layer, strict=True))
        if found.selected is not None:
            values[SELECTED] = found.selected
        return {layer: self._rows_of_r2(layer, r2) for layer, r2 in values.items()}

    def _rows_of_r2(self, layer: str, r2: Tensor) -> list[Score]:
        count = len(self.responses.targets)
        whole, timed = r2[:count], r2[count:].view(len(self.bins), count).mean(1)
        rows = [
            self._row("r2", layer, value, target=target)
            for target, value in zip(self.responses.targets, whole, strict=True)
        ]
        return rows + self._windowed("r2", layer, timed)

    def _similarity(self, layer: str, found: Mapping[str, Tensor]) -> list[Score]:
        rows = []
        for metric, values in found.items():
            if not bool(values.isfinite().all()):
                log.warning(
                    "%s: no %s of layer %s: its features are the same for all sounds, or constant",
                    self.name, metric, layer,
                )  # fmt: skip
                continue
            rows.append(self._row(metric, layer, values[0]))
            rows += self._windowed(metric, layer, values[1:])
        return rows

    def _windowed(self, metric: str, layer: str, values: Tensor) -> list[Score]:
        return [
            self._row(metric, layer, value, window=f"{(start + stop) / 2:.2f}")
            for (start, stop), value in zip(self.bins, values, strict=True)
        ]

    def _lags(self, layer: str, feature: Features) -> list[Score]:
        rate, times = self.responses.rate, self.responses.times
        frames = resample_frames(feature, times)
        x = principal_components(frames, self.components)
        steps = range(min(round(self.max_lag * rate), len(times) - frames.shape[1]) + 1)
        y, folds = self.responses.values, self.responses.folds
        curve = lag_curve(x, y, folds, steps, self.lag_alphas).mean(1)
        return [
            self._row(Quantity("r2", "delay"), layer, value, window=f"{step / rate:.2f}")
            for step, value in zip(steps, curve, strict=True)
        ]


def time_mean(feature: Features) -> Tensor:
    """Mean over the valid frames, shape (stimuli, dim), float64."""
    values, lengths = feature.values.double(), feature.lengths
    assert lengths is not None
    inside = torch.arange(values.shape[1]) < lengths[:, None]
    return (values * inside[..., None]).sum(1) / lengths[:, None].clamp_min(1)


def resample_frames(feature: Features, times: Tensor) -> Tensor:
    """Mean of the frames nearest to each of ``times`` that lies inside every stimulus.

    A frame belongs to the time whose bin (half a step to either side) holds its centre; where
    frames are sparser than times, the nearest frame is taken.

    Returns
    -------
    tensor of shape (stimuli, times, dim), float64
    """
    assert feature.lengths is not None
    assert feature.rate is not None
    assert feature.offset is not None
    step = float(times[1] - times[0])
    centres = torch.arange(feature.values.shape[1]) / feature.rate + feature.offset
    shortest = int(feature.lengths.min())
    end = float(centres[shortest - 1]) + 0.5 / feature.rate
    kept = times[times <= end]
    return bin_weights(centres[:shortest], kept, step) @ feature.values[:, :shortest].double()
