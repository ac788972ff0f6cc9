"""Alignment of frames: a model's states over a sentence and the brain's, metric by metric."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from alignment.inference import bootstrap_ci, fdr_bh
from alignment.signatures import METRICS
from datamodules.sentences import SentenceResponses
from evaluation.benchmark import Score
from evaluation.features import Features
from evaluation.frames import frames_at, reduced
from evaluation.summaries import SELECTED, new_row, participant_rows
from evaluation.surrogates import Draws, Series, Tested, circular, mismatched

log = logging.getLogger(__name__)

ALL = tuple(METRICS)
BOTH = ("rsa_spearman", "cka_debiased")
"""One metric of each family: rank geometry and dependence."""
FEWEST = 4
"""Least number of pieces of one position, which take each other's responses."""


class FrameAlignment:
    """Similarity of a layer's frames and the responses within sentences, tested and in time.

    Frames are averaged to the rate of the response; features and every subject's channels are
    reduced to principal components that are fitted on the sentences of other folds.

    ``metric=NAME`` (alignment/signatures.py): frames at t with the response at t; mean over
    sentences, then over subjects. Rows of layer ``selected``: the layer that is best on the
    sentences of the other folds. p of layers is adjusted for layers and metrics
    (Benjamini-Hochberg), p of ``selected`` needs no adjustment.
    ``metric=excess_NAME``: that of ``selected`` less the mean of its surrogates, which choose too.
    ``metric=lag_NAME``: the response ``window`` seconds later; ``selected`` chooses layer and lag.
    p is corrected for all lags by their maximum.
    ``metric=window_NAME``: within 250 ms about ``window`` seconds from onset, both sides moving
    together (sentence time, not latency). p is corrected for all windows.

    The null hypothesis keeps what each series is by itself: ``mismatch`` cuts sentences into pieces
    of equal length and takes the response to another sentence; ``circular`` shifts a whole
    sentence's response in a circle, which finds too much where series have trends.
    ``metric=null_…``: mean of the surrogates, interval the range of 95 % of them; it is
    not 0, since neighbouring frames are alike in both series. Intervals: bootstrap over subjects,
    or over sentences where there is one subject.

    Parameters
    ----------
    name : str
    responses : SentenceResponses
    metrics : sequence of str, or "all"
    lag_metrics, window_metrics : sequences of str
    lags : (float, float)
        First and last lag (s), in steps of one sample.
    until : float
        Latest centre of a window (s).
    components : int
    piece_seconds : float
        Length of a piece; shorter sentences are left out.
    surrogates : {"mismatch", "circular"}
    draws : int
        Surrogates of the null hypothesis.
    min_shift : float
        Least shift of ``circular`` (s), of which a piece holds two.
    """

    pooling = "frames"
    in_time = True

    def __init__(
        self,
        name: str,
        responses: SentenceResponses,
        metrics: Sequence[str] | Literal["all"] = "all",
        lag_metrics: Sequence[str] = BOTH,
        window_metrics: Sequence[str] = BOTH,
        lags: Sequence[float] = (-0.2, 0.8),
        until: float = 1.0,
        components: int = 20,
        piece_seconds: float = 3.0,
        surrogates: Literal["mismatch", "circular"] = "mismatch",
        draws: int = 500,
        min_shift: float = 1.0,
        seed: int = 0,
    ) -> None:
        metrics = ALL if metrics == "all" else metrics
        unknown = sorted({*metrics, *lag_metrics, *window_metrics} - set(METRICS))
        if unknown:
            raise ValueError(f"{name}: no metric {unknown[0]}: choose from {', '.join(METRICS)}")
        if surrogates not in ("circular", "mismatch"):
            raise ValueError(f"{name}: surrogates {surrogates!r}, expected circular or mismatch")
        self.name, self.responses, self.stimuli = name, responses, responses.stimuli
        self.metrics, self.lag_metrics = tuple(metrics), tuple(lag_metrics)
        self.window_metrics = tuple(window_metrics)
        self.components, self.surrogates = components, surrogates
        rate = responses.rate
        self.zero = round(-responses.start * rate)
        self.lags = [*range(round(lags[0] * rate), round(lags[1] * rate) + 1)]
        after = max(0, self.lags[-1]) if self.lag_metrics else 0
        self.heard = slice(self.zero, -after if after else None)
        if self.lag_metrics and self.lags[0] < -self.zero:
            raise ValueError(
                f"{name}: lags from {lags[0]} s, but responses begin {-responses.start:g} s before "
                "the onset"
            )
        self.until, self.width = until, round(0.25 * rate)
        self.least = round(piece_seconds * rate)
        self.draws = Draws(draws, min(round(min_shift * rate), (self.least - 1) // 2), seed)

    @cached_property
    def _responses(self) -> list[Tensor]:
        """Components of every subject's channels: (subjects, times, components) by sentence."""
        known = self.responses
        people = [
            reduced(
                [v[s].double() for v in known.values],
                known.folds,
                self.components,
                [v[s, self.heard].double() for v in known.values],
            )
            for s in range(len(known.subjects))
        ]
        return [torch.stack(parts) for parts in zip(*people, strict=True)]

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        series = self._series(features)
        layers = [*features]
        rows, p = [], []
        for name in self.metrics:
            found = self._tested(series, name, [0])
            p.append(found.p()[:, 0])
            rows += [*self._rows(name, layers, found)]
        adjusted = fdr_bh(torch.cat(p)) if p else torch.empty(0)
        rows = [*_with_p(rows, layers, adjusted)]
        for name in self.lag_metrics:
            rows += self._timed(
                f"lag_{name}", layers, self._tested(series, name, self.lags), self.lags
            )
        for name in self.window_metrics:
            spans = series.windows(self.width, self._windows())
            found = mismatched(METRICS[name], series, self.draws, spans)
            rows += self._timed(f"window_{name}", layers, found, self._windows(), self.width / 2)
        return rows

    def _windows(self) -> list[int]:
        """First frames of windows of 250 ms, 50 ms apart where the rate allows."""
        rate = self.responses.rate
        step = max(1, round(0.05 * rate))
        last = min(round(self.until * rate - self.width / 2), self.least - self.width)
        return [*range(0, last + 1, step)]

    def _tested(self, series: Series, name: str, lags: Sequence[int]) -> Tested:
        if self.surrogates == "circular":
            return circular(METRICS[name], series, self.draws, lags)
        return mismatched(METRICS[name], series, self.draws, series.spans(lags))

    def _series(self, features: Mapping[str, Features]) -> Series:
        """Pieces of equal length, or with circular surrogates whole sentences."""
        rate, folds = self.responses.rate, self.responses.folds
        for layer, feature in features.items():
            if feature.values.shape[1] < 2:
                raise ValueError(
                    f"layer {layer} has one frame for a whole sound, but alignment in time needs "
                    "frames: use encoder=logmel_frames, cochleagram or envelope"
                )
        frames = [
            reduced(frames_at(feature, rate), folds, self.components)
            for feature in features.values()
        ]
        pieces = []
        for i, values in enumerate(self.responses.values):
            room = min(values[0, self.heard].shape[0], *(len(layer[i]) for layer in frames))
            whole = [(0, room)] if room >= self.least else []
            count = room // self.least
            equal = [(k * self.least, self.least) for k in range(count)]
            pieces += [(i, *part) for part in (whole if self.surrogates == "circular" else equal)]
        position = torch.tensor([first for _, first, _ in pieces], dtype=torch.long)
        kept = [p for p in range(len(pieces)) if (position == position[p]).sum() >= FEWEST]
        if len(kept) < FEWEST:
            raise ValueError(
                f"{self.name}: {len(kept)} sentences of {self.least / rate:.2f} s or more, "
                f"expected at least {FEWEST}: set piece_seconds lower"
            )
        heard = len({pieces[p][0] for p in kept})
        if heard < len(self.stimuli):
            log.warning(
                "%s: %d of %d sentences are shorter than %.2f s and left out",
                self.name, len(self.stimuli) - heard, len(self.stimuli), self.least / rate,
            )  # fmt: skip
        chosen = [pieces[p] for p in kept]
        return Series(
            [[layer[i][first : first + n] for layer in frames] for i, first, n in chosen],
            [self._responses[i][:, first:] for i, first, _ in chosen],
            self.zero,
            folds[torch.tensor([i for i, _, _ in chosen])],
            position[torch.tensor(kept)],
        )

    def _rows(self, metric: str, layers: Sequence[str], found: Tested) -> Iterator[Score]:
        """Every layer, and the chosen one, without p; and the band of the null hypothesis."""
        for i, layer in enumerate(layers):
            yield from self._layer_rows(metric, layer, found.observed[:, i, :, 0])
            yield self._band(metric, layer, found.null_means()[:, i, 0])
        yield from self._selected(metric, found)

    def _selected(self, metric: str, found: Tested) -> Iterator[Score]:
        """The held-out choice of layer and lag, and how far it lies above its surrogates."""
        values, p, level = found.selected()
        yield from self._layer_rows(metric, SELECTED, values, p)
        yield from self._layer_rows(f"excess_{metric}", SELECTED, values - level, p)

    def _layer_rows(
        self, metric: str, layer: str, values: Tensor, p: float | None = None
    ) -> Iterator[Score]:
        """From (sentences, subjects): a row a subject and their mean, or the mean alone."""
        people = self.responses.subjects
        if len(people) > 1:
            rows = participant_rows(
                self.name, self.responses, metric, layer, people, values.mean(0), p=p
            )
            yield from rows
            return
        low, high = bootstrap_ci(values[:, 0])
        fields = {"ci_low": low, "ci_high": high, "p": p}
        yield new_row(self.name, self.responses, metric, layer, float(values.mean()), **fields)

    def _band(self, metric: str, layer: str, null: Tensor, window: str = "") -> Score:
        """Mean of the draws, and the range that holds 95 % of them."""
        low, high = null.quantile(torch.tensor([0.025, 0.975], dtype=null.dtype)).tolist()
        fields = {"ci_low": low, "ci_high": high, "window": window}
        mean = float(null.mean())
        return new_row(self.name, self.responses, f"null_{metric}", layer, mean, **fields)

    def _timed(
        self,
        metric: str,
        layers: Sequence[str],
        found: Tested,
        frames: Sequence[int],
        middle: float = 0.0,
    ) -> Iterator[Score]:
        """The mean at every lag or window, and the held-out choice of layer and lag."""
        rate = self.responses.rate
        means, p, null = found.observed.mean((0, 2)), found.p_max(), found.null_means()
        for i, layer in enumerate(layers):
            for k, frame in enumerate(frames):
                window = f"{(frame + middle) / rate:.2f}"
                fields = {"window": window, "p": float(p[i, k])}
                value = float(means[i, k])
                yield new_row(self.name, self.responses, metric, layer, value, **fields)
                yield self._band(metric, layer, null[:, i, k], window)
        yield from self._selected(metric, found)


def _with_p(rows: Sequence[Score], layers: Sequence[str], p: Tensor) -> Iterator[Score]:
    """The rows, those of a layer's mean with its p-value; they come in the order of ``p``."""
    left = iter(p.tolist())
    for row in rows:
        tested = row.layer in layers and not row.subject and not row.metric.startswith("null_")
        yield replace(row, p=next(left)) if tested else row
