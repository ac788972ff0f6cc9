"""Prosody of sounds: sentences of one kind in pairs, and what prosody, model and brain share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import mean_interval, percentile_interval, unit_counts
from alignment.mediation import mediated_share
from alignment.neighbours import allowed_pairs, neighbour_graph
from alignment.nulls import share_of_draws
from alignment.series.metrics import METRICS
from alignment.series.prosody import (
    SentenceProsody,
    affect_proxies,
    match_duration,
    sentence_prosody,
    terciles,
)
from alignment.series.prosody_frames import prosody_frames
from alignment.series.signatures import NEIGHBOURS
from datamodules.stimuli import StimulusSet
from evaluation.features import Features
from evaluation.quantities import Quantity
from evaluation.rows import Score
from evaluation.time.frames import frames_at
from evaluation.time.pieces import Draws, Series, stretch
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates

SAMPLE_RATE = 16_000
HOP = 0.010
TNC, MEDIATION = Quantity("tnc", "sharing"), Quantity("mediation_ratio", "sharing")
EXCLUSION = 0.2
"""Moments nearer than this (s) are not neighbours (Theiler 1986)."""


@dataclass(frozen=True)
class Prosody:
    """Prosody of the sounds of a set, computed when it is first asked for."""

    stimuli: StimulusSet

    @cached_property
    def pairs(self) -> Int[Tensor, "pairs 2"]:
        """Negative and neutral sentences of similar duration.

        Negative is the lowest third of the valence proxy, neutral the middle one.
        """
        return self._matched(affect_proxies(self._sentences).valence, 0, 1)

    @cached_property
    def arousal_pairs(self) -> Int[Tensor, "pairs 2"]:
        """Aroused and calm sentences of similar duration.

        Aroused is the highest third of the arousal proxy, calm the lowest one.
        """
        return self._matched(affect_proxies(self._sentences).arousal, 2, 0)

    @cached_property
    def _sentences(self) -> list[SentenceProsody]:
        waveforms = (self.stimuli.waveform(i, SAMPLE_RATE) for i in range(len(self.stimuli)))
        return [sentence_prosody(waveform, SAMPLE_RATE) for waveform in waveforms]

    def _matched(self, proxy: Tensor, one: int, other: int) -> Int[Tensor, "pairs 2"]:
        """Sentences of two thirds of a proxy in pairs."""
        group = terciles(proxy)
        duration = torch.tensor([sentence.duration for sentence in self._sentences])
        first, second = ((group == k).nonzero().flatten() for k in (one, other))
        found = match_duration(duration[first], duration[second])
        return torch.stack([first[found[:, 0]], second[found[:, 1]]], 1)

    def frames(self, rate: float) -> list[Float[Tensor, "times 7"]]:
        """F0 (semitones), voicing, level, zero crossings, centroid, bandwidth, roll-off.

        Each in z over all sentences; F0 is at its mean where unvoiced.
        """
        tables = [
            self._table(self.stimuli.waveform(i, SAMPLE_RATE)) for i in range(len(self.stimuli))
        ]
        every = torch.cat(tables)
        mean = every.nanmean(0)
        spread = (every - mean).square().nanmean(0).sqrt().clamp_min(1e-12)
        tables = [((table - mean) / spread).nan_to_num() for table in tables]
        lengths = torch.tensor([len(table) for table in tables])
        padded = torch.nn.utils.rnn.pad_sequence(tables, batch_first=True)
        return frames_at(Features(padded, lengths, 1 / HOP, 0.0), rate)

    def _table(self, waveform: Tensor) -> Float[Tensor, "frames 7"]:
        found = prosody_frames(waveform, SAMPLE_RATE, HOP)
        return torch.stack(
            [
                found.f0.log2() * 12,
                (~found.f0.isnan()).double(),
                found.rms.clamp_min(1e-5).log10() * 20,
                found.zero_crossings,
                found.centroid,
                found.bandwidth,
                found.rolloff,
            ],
            1,
        )


def sharing_rows(
    rows: TimeRows,
    prosody: Prosody,
    series: Series,
    chosen: AgainstSurrogates,
    lags: Sequence[int],
    layers: Sequence[str],
    draws: Draws,
) -> Iterator[Score]:
    """Rows ``tnc`` and ``mediation_ratio`` of every layer, at the lag that other folds chose.

    ``tnc``: tri-modal neighbourhood consistency, our definition: the share of a moment's ten
    nearest moments of the same piece that prosody, brain and layer have in common, mean over
    moments, pieces and subjects, less chance and over what chance leaves. Three kinds of surrogates
    take one of the three from another sentence, so that what the other two share stays. p is the
    largest of the three, each corrected for layers by the maximum: it is small only where all
    three belong together. ``null_tnc`` are the surrogates with the highest mean.
    ``mediation_ratio``: ``1 - rho²(P,E|M) / rho²(P,E)`` of the mean correlations over pieces
    (alignment/mediation.py). ``null_mediation_ratio``: the layer of another sentence, whose ratio
    is far from 0 too. p is the larger of two: that of this null, and that prosody and brain are
    unrelated, since then there is nothing to mediate.
    """
    rate = rows.responses.rate
    frames = prosody.frames(rate)
    ((_, _, length),) = series.spans([0])
    shift = torch.tensor([lags[lag] for _, lag in chosen.choices()])
    _, fold = series.folds.unique(return_inverse=True)
    where = [*zip(series.sentence.tolist(), series.position.tolist(), strict=True)]
    p = torch.stack([stretch(frames[i], first, length) for i, first in where])
    e = torch.stack(
        [
            y[:, (start := series.zero + int(lag)) : start + length]
            for y, lag in zip(series.y, shift[fold], strict=True)
        ],
        1,
    )
    exclusion = max(1, round(EXCLUSION * rate))
    k = min(NEIGHBOURS, length - 2 * exclusion)
    ranked = METRICS["rsa_spearman"].signature
    near_p, near_e = (neighbour_graph(p, k, exclusion), _mean_graph(e, k, exclusion))
    far_p, far_e = ranked(p), torch.stack([ranked(one) for one in e]).mean(0)
    pairs_pe = far_p.flatten(1) @ far_e.flatten(1).T
    pe, partner = pairs_pe.diagonal(), series.partners(draws)
    allowed = allowed_pairs(length, exclusion, p.device).sum(-1)
    chance = float((k / allowed.double()).square().mean())
    same = series.same()
    same = same / same.sum(1, keepdim=True)
    place = torch.arange(len(p))
    p_related = _upper_p(pairs_pe[place, partner].mean(1), pe.mean())
    observed, null, level, mediated = [], [], [], []
    for j in range(len(layers)):
        m = torch.stack([piece[j][:length] for piece in series.x])
        near_m = neighbour_graph(m, k, exclusion)
        own, draw, mean = [], [], []
        for one, other, moved in ((near_p, near_m, near_e), (near_e, near_m, near_p),
                                  (near_p, near_e, near_m)):  # fmt: skip
            pairs = (one * other).flatten(1) @ moved.flatten(1).T / (k * length)
            pairs = (pairs - chance) / (1 - chance)
            own.append(pairs.diagonal())
            draw.append(pairs[place, partner].mean(1))
            mean.append((pairs * same).sum(1).mean())
        observed.append(own[0])
        null.append(torch.stack(draw))
        level.append(torch.stack(mean))
        far_m = ranked(m)
        pm, em = (one.flatten(1) @ far_m.flatten(1).T for one in (far_p, far_e))
        shares = torch.stack([pe, pm.diagonal(), em.diagonal()], 1)
        unrelated = mediated_share(
            pe.mean(), pm[place, partner].mean(1), em[place, partner].mean(1)
        )
        mediated.append((shares, unrelated))
    found, draws_of, middle = torch.stack(observed), torch.stack(null, -1), torch.stack(level, -1)
    largest = (draws_of - middle[:, None]).amax(-1, keepdim=True)
    each = [
        share_of_draws(one >= found.mean(1) - mid) for one, mid in zip(largest, middle, strict=True)
    ]
    corrected, highest = torch.stack(each).amax(0), draws_of.mean(1).argmax(0)
    for j, layer in enumerate(layers):
        low, high = mean_interval(found[j], groups=rows.sentence)
        fields = {"ci_low": low, "ci_high": high, "p": float(corrected[j])}
        yield rows.one(TNC, layer, float(found[j].mean()), **fields)
        yield rows.band(TNC, layer, draws_of[highest[j], :, j])
        shares, unrelated = mediated[j]
        yield _mediation_row(rows, layer, shares, unrelated, p_related)
        yield rows.band(MEDIATION, layer, unrelated)


def _mediation_row(
    rows: TimeRows,
    layer: str,
    r: Float[Tensor, "pieces 3"],
    unrelated: Float[Tensor, " draws"],
    p_related: float,
) -> Score:
    """From correlations of prosody and brain, prosody and layer, brain and layer.

    ``unrelated`` are ratios with the layer of another sentence, ``p_related`` is the p-value of
    prosody and brain.
    """
    value = mediated_share(*r.mean(0))
    _, sentence = rows.sentence.unique(return_inverse=True)
    sums = torch.zeros(int(sentence.max()) + 1, 4, dtype=r.dtype)
    sums.index_add_(0, sentence, torch.cat([r, torch.ones(len(r), 1, dtype=r.dtype)], 1))
    drawn = unit_counts(len(sums), 2000, 0) @ sums
    draws = mediated_share(*(drawn[:, :3] / drawn[:, 3:]).T)
    low, high = percentile_interval(draws)
    p = max(p_related, _upper_p(unrelated, value))
    return rows.one(MEDIATION, layer, float(value), ci_low=low, ci_high=high, p=p)


def _upper_p(draws: Float[Tensor, " draws"], observed: Tensor) -> float:
    return float(share_of_draws((draws >= observed)[:, None])[0])


def _mean_graph(e: Float[Tensor, "subjects pieces n c"], k: int, exclusion: int) -> Tensor:
    """Share of subjects in whom a moment is a neighbour: consistency is linear in it."""
    return torch.stack([neighbour_graph(one, k, exclusion) for one in e]).mean(0)
