"""Prosody: sentences of negative and neutral proxies, and what prosody, model and brain share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import mean_interval, percentile_interval, unit_counts
from alignment.mediation import mediated_share
from alignment.neighbours import allowed_pairs, neighbour_graph
from alignment.nulls import share_of_draws, sign_flips
from alignment.series.metrics import METRICS
from alignment.series.prosody import affect_proxies, match_duration, sentence_prosody, terciles
from alignment.series.prosody_frames import prosody_frames
from alignment.series.signatures import NEIGHBOURS
from datamodules.stimuli import StimulusSet
from evaluation.features import Features
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.time.frames import frames_at
from evaluation.time.pieces import Draws, Series
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates

log = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
HOP = 0.010
FEWEST_PAIRS = 5
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
        waveforms = (self.stimuli.waveform(i, SAMPLE_RATE) for i in range(len(self.stimuli)))
        sentences = [sentence_prosody(waveform, SAMPLE_RATE) for waveform in waveforms]
        group = terciles(affect_proxies(sentences).valence)
        duration = torch.tensor([one.duration for one in sentences])
        negative, neutral = ((group == k).nonzero().flatten() for k in (0, 1))
        found = match_duration(duration[negative], duration[neutral])
        return torch.stack([negative[found[:, 0]], neutral[found[:, 1]]], 1)

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


def contrast_rows(
    rows: TimeRows, prosody: Prosody, tested: Mapping[str, AgainstSurrogates]
) -> Iterator[Score]:
    """Is a sentence of negative prosody followed less, or more, than a neutral one as long?

    ``metric=prosody_NAME``, layer ``selected``, ``target`` negative, neutral, difference: what
    lies above the surrogates, mean over pieces and subjects of each sentence, at the layer and
    lag that the other folds chose. p of the difference: signs of pairs turned.
    """
    for name, found in tested.items():
        excess = found.held_out(found.excess).mean(1)
        value = {i: excess[rows.sentence == i].mean() for i in rows.sentence.unique().tolist()}
        pairs = [pair for pair in prosody.pairs.tolist() if all(i in value for i in pair)]
        if len(pairs) < FEWEST_PAIRS:
            log.warning(
                "%s: %d pairs of a negative and a neutral sentence of one duration, expected at "
                "least %d: prosody_%s is left out", rows.name, len(pairs), FEWEST_PAIRS, name,
            )  # fmt: skip
            continue
        negative, neutral = (torch.stack([value[pair[k]] for pair in pairs]) for k in (0, 1))
        difference = negative - neutral
        for target, values in (
            ("negative", negative),
            ("neutral", neutral),
            ("difference", difference),
        ):
            low, high = mean_interval(values)
            p = float(sign_flips(values).p) if target == "difference" else None
            fields = {"target": target, "ci_low": low, "ci_high": high, "p": p}
            yield rows.one(
                Quantity(name, "prosody", "excess"), SELECTED, float(values.mean()), **fields
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
    p = torch.stack([_cut(frames[i], first, length) for i, first in where])
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


def _cut(frames: Tensor, first: int, length: int) -> Tensor:
    """A stretch of frames; the last one is repeated where the sound ends a little early."""
    place = torch.arange(first, first + length).clamp_max(len(frames) - 1)
    return frames[place]


def _mean_graph(e: Float[Tensor, "subjects pieces n c"], k: int, exclusion: int) -> Tensor:
    """Share of subjects in whom a moment is a neighbour: consistency is linear in it."""
    return torch.stack([neighbour_graph(one, k, exclusion) for one in e]).mean(0)
