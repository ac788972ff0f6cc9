"""Pitch, loudness and spectrum of speech, frame by frame and sentence by sentence.

Written for sentences of clean speech; a stand-in for openSMILE's eGeMAPS, not a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from alignment.series.prosody_frames import prosody_frames

_SEMITONE_ZERO = 27.5  # Hz, as in eGeMAPS (Eyben et al. 2016)


class SentenceProsody(NamedTuple):
    """Functionals of a sentence, in an order in which they may serve as features.

    F0 in semitones above 27.5 Hz over voiced frames (slope in semitones/s, of the least-squares
    line), NaN with too few of them; ``voiced`` is their share; duration in s; the others in the
    units of ProsodyFrames.
    """

    f0_mean: float
    f0_sd: float
    f0_slope: float
    loudness_mean: float
    loudness_sd: float
    flux_mean: float
    mfcc1_mean: float
    voiced: float
    duration: float


class AffectProxies(NamedTuple):
    """Proxies of arousal and valence, of shape (sentences,), in z over the sentences."""

    arousal: Float[Tensor, " sentences"]
    valence: Float[Tensor, " sentences"]


def sentence_prosody(
    waveform: Float[Tensor, " samples"] | Float[np.ndarray, " samples"], sample_rate: int
) -> SentenceProsody:
    """Functionals of one sentence.

    F0 over an octave from the median of the sentence is left out: at the edges of vowels a
    formant may be taken for it.
    """
    frames = prosody_frames(waveform, sample_rate)
    semitones = 12 * (frames.f0 / _SEMITONE_ZERO).log2()
    voiced = (semitones - semitones.nanmedian()).abs() <= 12
    semitones = semitones[voiced]
    time = frames.time[voiced] - frames.time[voiced].mean()
    some = len(semitones) > 1
    return SentenceProsody(
        f0_mean=float(semitones.mean()),
        f0_sd=float(semitones.std()) if some else math.nan,
        f0_slope=float((time * semitones).sum() / time.square().sum()) if some else math.nan,
        loudness_mean=float(frames.loudness.mean()),
        loudness_sd=float(frames.loudness.std()),
        flux_mean=float(frames.flux.mean()),
        mfcc1_mean=float(frames.mfcc1.mean()),
        voiced=float(voiced.double().mean()),
        duration=len(waveform) / sample_rate,
    )


def affect_proxies(sentences: Sequence[SentenceProsody]) -> AffectProxies:
    """Acoustic proxies of arousal and valence; nobody was asked what the sentences express.

    arousal: mean of z(F0 mean), z(loudness mean), z(F0 variation); valence: mean of z(F0
    variation), z(spectral flux), z(MFCC 1), with F0 variation = sd / mean in semitones and z over
    the sentences (after github.com/FlowerNeverFade/eeg-audio-similarity). A sentence without F0
    has NaN and does not enter the z of F0.
    """
    table = torch.tensor(sentences, dtype=torch.float64)
    column = dict(zip(SentenceProsody._fields, table.T, strict=True))
    variation = _z(column["f0_sd"] / column["f0_mean"])
    arousal = _z(column["f0_mean"]) + _z(column["loudness_mean"]) + variation
    valence = variation + _z(column["flux_mean"]) + _z(column["mfcc1_mean"])
    return AffectProxies(arousal / 3, valence / 3)


def terciles(values: Float[Tensor, " sentences"]) -> Int[Tensor, " sentences"]:
    """0 for the lowest third, 1 for the middle, 2 for the highest; -1 for NaN.

    Of the valence proxy, 0 is what we call negative and 1 neutral; of the arousal proxy, 2 is
    aroused and 0 calm.
    """
    known = (~values.isnan()).nonzero()[:, 0]
    order = known[values[known].argsort(stable=True)]
    groups = torch.full(values.shape, -1, device=values.device)
    groups[order] = torch.arange(len(order), device=values.device) * 3 // max(len(order), 1)
    return groups


def match_duration(
    negative: Float[Tensor, " n"], neutral: Float[Tensor, " m"], tolerance: float = 0.25
) -> Int[Tensor, "pairs 2"]:
    """Pairs of a negative and a neutral sentence of similar duration, no sentence in two.

    As many pairs as can be made, and among such pairings the one with the least total difference.

    Parameters
    ----------
    negative, neutral : tensors of shape (n,) and (m,)
        Durations (s).
    tolerance : float
        Largest difference within a pair (s).

    Returns
    -------
    tensor of shape (pairs, 2)
        Places in ``negative`` and in ``neutral``.
    """
    apart = (negative[:, None] - neutral).abs().cpu().double()
    # One pair too far apart costs more than all differences of a full pairing within tolerance.
    forbidden = 1 + 2 * tolerance * min(apart.shape)
    cost = torch.where(apart <= tolerance, apart, forbidden)
    row, column = (torch.from_numpy(index) for index in linear_sum_assignment(cost.numpy()))
    return torch.stack([row, column], 1)[apart[row, column] <= tolerance]


def _z(x: Tensor) -> Tensor:
    """Without mean and in units of standard deviation, both over what is not NaN."""
    centred = x - x.nanmean()
    return centred / centred.square().nanmean().sqrt().clamp_min(1e-12)
