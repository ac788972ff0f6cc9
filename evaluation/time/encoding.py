"""Encoding models: how well a layer's frames predict the response that follows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.inference import crossed_p, fdr_bh
from alignment.ridge import penalties
from alignment.series.encoding import HeldOutModel, nested_encoding
from datamodules.sentences import SentenceResponses
from evaluation.features import Features
from evaluation.metrics import check_known
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.time.acoustics import Acoustics, reduce_frames
from evaluation.time.frames import frames_at, require_frames
from evaluation.time.held_out import HeldOut, by_choice, largest_layer_p, over_channels
from evaluation.time.pieces import Draws
from evaluation.time.rows import TimeRows
from evaluation.time.scalp import electrode_rows
from evaluation.time.statistics import AgainstSurrogates

R, DELAY, MAP = Quantity("r"), Quantity("r_delay"), Quantity("r", "map")
ACOUSTICS, BEYOND = Quantity("r_acoustics"), Quantity("r_beyond_acoustics")
METRICS = ("r", "map_r", "r_beyond_acoustics")
ROUNDING = 1e-10
RATIOS = (0.0, 0.03, 0.3, 3.0)
"""What the penalty of a layer is divided by beside acoustics; 0 leaves the layer out."""


@dataclass(frozen=True)
class Encoded:
    """How well a layer predicts.

    Attributes
    ----------
    found : AgainstSurrogates
        Channels in the last axis.
    explained : tensor of shape (folds,)
        Share of the variance of the other folds, mean over targets.
    power : tensor of shape (folds, lags)
    beyond : tensor of shape (pieces, subjects), optional
        Fisher's z of layer and acoustics less that of acoustics.
    """

    found: AgainstSurrogates
    explained: Float[Tensor, " folds"]
    power: Float[Tensor, "folds lags"]
    beyond: Float[Tensor, "pieces subjects"] | None = None


class FrameEncoding:
    """Prediction of the responses to sentences by ridge regression on delayed frames, held out.

    ``y[t] = b[t] + sum_l x[t - lag_l] w_l`` for every channel of every subject: x are the principal
    components of a layer's frames at the response's rate (one basis for all sentences; no response
    is seen), b is the mean course of the training sentences. Its own penalty is chosen for every
    channel of every subject, nested over folds of neighbouring sentences
    (alignment/series/encoding.py). Rows whose lags reach outside of their sentence are left out.

    ``metric=r``: correlation of prediction and response, both less the mean course, over pieces of
    ``seconds``; mean over channels, pieces and subjects. Correlations are averaged as Fisher's z.
    Layer ``selected``: the one that explains most of the other folds while each of these is left
    out too, so that neither layer nor penalty has seen the fold that is scored.
    ``metric=excess_r``: less the correlation with the response to other sentences of the fold, of
    the same position in the sentence. ``metric=null_r``: that level and the range of 95 % of draws.
    p of layers is adjusted (Benjamini-Hochberg), that of ``selected`` is by the largest layer of
    each draw.
    ``metric=ceiling_r``, ``target`` lower and upper: a subject's response with the mean of the
    others, and of all.
    ``metric=r_delay``: lag (s) at which the features of ``selected`` covary most with what they
    predict together.
    ``metric=map_r``: electrode by electrode, of ``selected``.
    ``metric=r_beyond_acoustics``: r of layer and acoustics (evaluation/time/acoustics.py) together,
    each band with its own penalty (banded ridge), less that of acoustics alone
    (``metric=r_acoustics``). p: Student's t by the variances of subjects and sentences, one-sided.

    Parameters
    ----------
    name : str
    responses : SentenceResponses
    metrics : sequence of str
        Of ``METRICS``; :meth:`in_full` takes all that the data allow.
    lags : (float, float)
        First and last delay (s), in steps of one sample.
    components : int
        Of a layer.
    acoustic_components : int
        Of the spectrogram, and of its onsets.
    log10_alphas : (low, high, steps)
        Penalties for one row of features of variance 1.
    seconds : float
        Length of a piece (s).
    draws : int
        Surrogates.
    """

    pooling = "frames"
    in_time = True

    def __init__(
        self,
        name: str,
        responses: SentenceResponses,
        metrics: Sequence[str] = ("r",),
        lags: Sequence[float] = (-0.1, 0.6),
        components: int = 20,
        acoustic_components: int = 12,
        log10_alphas: Sequence[float] = (-3, 3, 7),
        seconds: float = 2.0,
        draws: int = 500,
        seed: int = 0,
    ) -> None:
        check_known(name, metrics, METRICS)
        if "map_r" in metrics and responses.positions is None:
            raise ValueError(f"{name}: metrics has map_r, but electrodes have no positions")
        self.name, self.responses, self.stimuli = name, responses, responses.stimuli
        self.metrics = tuple(metrics)
        rate = responses.rate
        self.lags = [*range(round(lags[0] * rate), round(lags[1] * rate) + 1)]
        if not self.lags:
            raise ValueError(f"{name}: lags from {lags[0]:g} to {lags[1]:g} s: give (first, last)")
        self.components, self.acoustic_components = components, acoustic_components
        self.alphas = penalties(log10_alphas)
        self.length = round(seconds * rate)
        self.draws = Draws(draws, 1, seed)
        self._sound: list[Tensor] | None = None
        self._ceilings: dict[tuple[int, ...], tuple[float, float]] = {}

    def in_full(self) -> FrameEncoding:
        """With electrodes where they have places, and acoustics; values of this one stay."""
        other = copy(self)
        known = [
            name for name in METRICS if name != "map_r" or self.responses.positions is not None
        ]
        other.metrics = tuple(known)
        return other

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        require_frames(features)
        rate = self.responses.rate
        layers = {
            layer: reduce_frames(frames_at(feature, rate), self.components)
            for layer, feature in features.items()
        }
        lengths = [min(map(len, parts)) for parts in zip(*layers.values(), strict=True)]
        frames = torch.tensor(lengths)
        held = HeldOut(self.name, self.responses, self.lags, frames, self.length, self.draws)
        rows = TimeRows(self.name, self.responses, held.sentence)
        sound = self._acoustics(lengths) if "r_beyond_acoustics" in self.metrics else None
        alone = None if sound is None else self._alone(held, sound)
        encoded = {layer: self._encode(held, x, sound, alone) for layer, x in layers.items()}
        return [from_fisher(row) for row in self._rows(rows, held, encoded, alone)]

    def _encode(
        self,
        held: HeldOut,
        x: Sequence[Tensor],
        sound: Sequence[Tensor] | None,
        alone: AgainstSurrogates | None,
    ) -> Encoded:
        """A layer by itself and, with acoustics, what both explain more than these."""
        models = nested_encoding(held.sums(x), self.alphas)
        self._remember_ceiling(held, models)
        explained = torch.stack([model.explained.mean() for model in models])
        power = torch.stack([model.lag_power(len(self.lags)) for model in models])
        encoded = Encoded(held.score(x, models), explained, power)
        if sound is None or alone is None:
            return encoded
        both = [torch.cat([a, b[: len(a)]], 1) for a, b in zip(sound, x, strict=True)]
        own = (torch.arange(both[0].shape[1]) >= sound[0].shape[1]).repeat(len(self.lags))
        gammas = torch.stack([torch.where(own, ratio, 1.0) for ratio in RATIOS])
        joint = held.score(both, nested_encoding(held.sums(both), self.alphas, gammas))
        beyond = (joint.observed - alone.observed)[:, 0].mean(2)
        beyond = torch.where(beyond.abs() > ROUNDING, beyond, 0.0)
        return replace(encoded, beyond=beyond)

    def _alone(self, held: HeldOut, sound: Sequence[Tensor]) -> AgainstSurrogates:
        return held.score(sound, nested_encoding(held.sums(sound), self.alphas))

    def _acoustics(self, lengths: Sequence[int]) -> list[Tensor]:
        """Of as many frames as the layers have; where these reach further, the last stays."""
        if self._sound is None:
            self._sound = Acoustics(self.responses, self.acoustic_components).frames()
        return [
            torch.cat([a[:n], a[-1:].expand(max(0, n - len(a)), -1)])
            for a, n in zip(self._sound, lengths, strict=True)
        ]

    # ---- rows --------------------------------------------------------------------------------

    def _rows(
        self,
        rows: TimeRows,
        held: HeldOut,
        encoded: Mapping[str, Encoded],
        alone: AgainstSurrogates | None,
    ) -> Iterator[Score]:
        layers = [*encoded.values()]
        chosen = torch.stack([one.explained for one in layers]).argmax(0).tolist()
        selected = by_choice([one.found for one in layers], chosen)
        yield from self._correlation_rows(rows, held, encoded, over_channels([selected]))
        power = torch.stack([layers[j].power[f] for f, j in enumerate(chosen)]).sum(0)
        if bool(power.any()):
            delay = self.lags[int(power.argmax())] / self.responses.rate
            yield rows.one(DELAY, SELECTED, delay)
        if "map_r" in self.metrics:
            yield from electrode_rows(rows, "r", selected)
        if alone is None:
            return
        fold = held.piece_fold
        beyond = {name: one.beyond for name, one in encoded.items() if one.beyond is not None}
        table = torch.stack([*beyond.values()])
        best = table[torch.tensor(chosen)[fold], torch.arange(len(fold))]
        yield from rows.values(ACOUSTICS, "acoustics", alone.observed[:, 0].mean(2))
        p = fdr_bh(torch.tensor([crossed_p(values, rows.sentence) for values in table]))
        for (layer, values), adjusted in zip(beyond.items(), p.tolist(), strict=True):
            yield from rows.values(BEYOND, layer, values, adjusted)
        yield from rows.values(BEYOND, SELECTED, best, crossed_p(best, rows.sentence))

    def _correlation_rows(
        self,
        rows: TimeRows,
        held: HeldOut,
        encoded: Mapping[str, Encoded],
        selected: AgainstSurrogates,
    ) -> Iterator[Score]:
        """Rows of ``r`` and its surrogates, with the noise ceiling."""
        bounds = self._ceilings.get(tuple(held.rows.tolist()))
        ceiling = None if bounds is None else bounds[1]
        found = over_channels([one.found for one in encoded.values()])
        p = fdr_bh(found.p()[:, 0]).tolist()
        for i, layer in enumerate(encoded):
            for row in rows.values(R, layer, found.observed[:, i, :, 0], p[i]):
                yield replace(row, ceiling=ceiling)
            yield rows.band(R, layer, found.null_means()[:, i, 0])
        best = largest_layer_p(found, selected)
        for row in rows.selected(R, selected, p=best):
            yield replace(row, ceiling=ceiling) if row.kind == "score" else row
        for target, value in zip(("lower", "upper"), bounds or (), strict=False):
            yield rows.one(R.as_kind("ceiling"), "responses", value, target=target)

    def _remember_ceiling(self, held: HeldOut, models: Sequence[HeldOutModel]) -> None:
        """Noise ceiling (z), which depends on the responses alone: of two people or more."""
        key = tuple(held.rows.tolist())
        if key not in self._ceilings and len(self.responses.subjects) > 1:
            lower, upper = (float(z.mean()) for z in held.ceiling(models))
            self._ceilings[key] = lower, upper


def from_fisher(row: Score) -> Score:
    """A row of Fisher's z as one of correlations; delays stay."""
    if row.of == DELAY.of:
        return row
    found = (row.value, row.ceiling, row.ci_low, row.ci_high)
    value, ceiling, low, high = (None if z is None else math.tanh(z) for z in found)
    assert value is not None
    return replace(row, value=value, ceiling=ceiling, ci_low=low, ci_high=high)
