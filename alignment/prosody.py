"""Pitch, loudness and spectrum of speech, frame by frame and sentence by sentence.

Written for sentences of clean speech; a stand-in for openSMILE's eGeMAPS, not a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchaudio.functional import melscale_fbanks

_WINDOW = 0.025  # s
_SEMITONE_ZERO = 27.5  # Hz, as in eGeMAPS (Eyben et al. 2016)
_MEL_BANDS, _MEL_LOW, _MEL_HIGH = 26, 20.0, 8000.0  # as in eGeMAPS; Hz


@dataclass(frozen=True)
class ProsodyFrames:
    """Features of a waveform at regular times, tensors of shape (frames,), float64.

    Attributes
    ----------
    time : centre of each frame (s), from 0.
    f0 : fundamental frequency (Hz), NaN where unvoiced.
    rms : root mean square amplitude.
    loudness : ``(rms^2 / 1e-6)^0.3``, the power law of Stevens 1955.
    zero_crossings : changes of sign per second (Hz).
    centroid, bandwidth : mean and standard deviation of frequency, weighted by power (Hz).
    rolloff : frequency below which 85 % of the power lies (Hz).
    flux : ``|a_t - a_{t-1}| / mean_t |a_t|``, a the magnitude spectrum; 0 in the first frame.
    mfcc1 : second cosine coefficient of the log mel spectrum; high for energy at low frequencies.
    """

    time: Float[Tensor, " frames"]
    f0: Float[Tensor, " frames"]
    rms: Float[Tensor, " frames"]
    loudness: Float[Tensor, " frames"]
    zero_crossings: Float[Tensor, " frames"]
    centroid: Float[Tensor, " frames"]
    bandwidth: Float[Tensor, " frames"]
    rolloff: Float[Tensor, " frames"]
    flux: Float[Tensor, " frames"]
    mfcc1: Float[Tensor, " frames"]


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


def pitch(
    waveform: Float[Tensor, " samples"] | Float[np.ndarray, " samples"],
    sample_rate: int,
    hop: float = 0.010,
    low: float = 60.0,
    high: float = 400.0,
    voicing: float = 0.3,
) -> Float[Tensor, " frames"]:
    """Fundamental frequency (Hz) of each frame, NaN where unvoiced.

    YIN (de Cheveigné & Kawahara 2002, steps 1-5, with another choice among dips):
    ``d(tau) = sum_j (x_j - x_{j+tau})^2`` over 25 ms, divided by its mean over lags up to tau.
    The first dip that is about as deep as the deepest is the period, refined by a parabola; a
    median over five frames takes out single errors.

    Parameters
    ----------
    hop : float
        Time between frames (s); frame k is centred on k hop.
    low, high : float
        Range (Hz). A frame of higher pitch is unvoiced, not taken for an octave below.
    voicing : float
        Dips above it are no period: about the share of power that does not repeat. Frames 40 dB
        below the strongest are unvoiced too.
    """
    x = _mono(waveform)
    width, longest = round(_WINDOW * sample_rate), math.ceil(sample_rate / low) + 1
    frames = _frames(x, width + longest, sample_rate, hop)
    frames = frames - frames.mean(1, keepdim=True)
    power = frames.square().mean(1)
    difference = torch.cat([_difference(part, width) for part in frames.split(500)])
    lags = torch.arange(1, longest + 1, dtype=x.dtype, device=x.device)
    running = difference[:, 1:].cumsum(1) / lags
    depth = torch.nn.functional.pad(difference[:, 1:] / running.clamp_min(1e-30), (1, 0), value=1.0)

    before, here, after = depth[:, :-2], depth[:, 1:-1], depth[:, 2:]
    dip = (here <= before) & (here < after)
    # Parabolas through the dips: at short lags the period falls between two samples.
    bend = (before - 2 * here + after).clamp_min(1e-30)
    bottom = torch.where(dip, here - (before - after).square() / (8 * bend), torch.inf)
    # Among dips that are as deep but for a margin, the first is the period and the others its
    # multiples. A harmonic on a strong formant makes earlier dips too, not quite as deep.
    margin = torch.where(lags[: bottom.shape[1]] < 0.99 * sample_rate / high, 0.01, 0.03)
    least = bottom.amin(1, keepdim=True)
    first = (bottom <= least + margin).to(torch.int8).argmax(1, keepdim=True)
    shift = 0.5 * (before - after) / bend
    period = (first + 1 + shift.gather(1, first))[:, 0]
    chosen = bottom.gather(1, first)[:, 0]
    f0 = sample_rate / period
    voiced = (chosen < voicing) & (power > 1e-4 * power.max())
    # Interpolated to within a few tenths of a sample, the range is no sharper.
    voiced &= (f0 >= 0.99 * low) & (f0 <= 1.01 * high)
    return _smoothed(torch.where(voiced, f0, torch.nan))


def prosody_frames(
    waveform: Float[Tensor, " samples"] | Float[np.ndarray, " samples"],
    sample_rate: int,
    hop: float = 0.010,
) -> ProsodyFrames:
    """Prosodic and spectral features every ``hop`` seconds, from Hann windows of 25 ms.

    Parameters
    ----------
    waveform : tensor or array of shape (samples,)
        Mono, at full scale 1.
    """
    x = _mono(waveform)
    width = round(_WINDOW * sample_rate)
    frames = _frames(x, width, sample_rate, hop)
    window = torch.hann_window(width, dtype=x.dtype, device=x.device)
    size = 2 ** math.ceil(math.log2(width))
    magnitude = torch.fft.rfft(frames * window, size).abs()
    power = magnitude.square()
    frequency = torch.fft.rfftfreq(size, 1 / sample_rate, dtype=x.dtype, device=x.device)
    share = power / power.sum(1, keepdim=True).clamp_min(1e-30)
    centroid = share @ frequency
    spread = (share * (frequency - centroid[:, None]).square()).sum(1).sqrt()
    rolled = (share.cumsum(1) < 0.85 * share.sum(1, keepdim=True)).sum(1)
    step = magnitude.diff(dim=0, prepend=magnitude[:1]).norm(dim=1)
    energy = frames.square().mean(1)
    crossings = (frames[:, 1:] * frames[:, :-1] < 0).sum(1)
    return ProsodyFrames(
        time=torch.arange(len(frames), dtype=x.dtype, device=x.device) * hop,
        f0=pitch(x, sample_rate, hop),
        rms=energy.sqrt(),
        loudness=(energy / 1e-6) ** 0.3,
        zero_crossings=crossings * sample_rate / (width - 1),
        centroid=centroid,
        bandwidth=spread,
        rolloff=frequency[rolled],
        flux=step / magnitude.norm(dim=1).mean().clamp_min(1e-30),
        mfcc1=_mfcc1(power, sample_rate),
    )


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

    Of the valence proxy, 0 is what we call negative and 1 neutral.
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


def _mono(waveform: Tensor | NDArray[np.floating]) -> Float[Tensor, " samples"]:
    x = torch.as_tensor(waveform).double()
    if not len(x) or not bool(x.isfinite().all()):
        raise ValueError(f"waveform of {len(x)} samples: expected some, and finite values only")
    return x


def _frames(x: Tensor, width: int, sample_rate: int, hop: float) -> Float[Tensor, "frames width"]:
    """Stretches of ``width`` samples centred on 0, hop, 2 hop …, with zeros beyond the ends."""
    count = int(len(x) / (sample_rate * hop)) + 1
    # Rounded one by one: 10 ms are no whole number of samples at 22,050 Hz.
    start = (torch.arange(count, device=x.device) * (sample_rate * hop)).round().long()
    padded = torch.nn.functional.pad(x, (width // 2, width))
    return padded.unfold(0, width, 1)[start]


def _smoothed(f0: Float[Tensor, " frames"]) -> Float[Tensor, " frames"]:
    """Median of the voiced frames within two of each; unvoiced where these are fewer than three."""
    near = torch.nn.functional.pad(f0, (2, 2), value=torch.nan).unfold(0, 5, 1)
    voiced = ~f0.isnan() & ((~near.isnan()).sum(1) >= 3)
    return torch.where(voiced, near.nanmedian(1).values, torch.nan)


def _difference(frames: Float[Tensor, "frames span"], width: int) -> Float[Tensor, "frames lags"]:
    """``sum_{j < width} (x_j - x_{j+tau})^2`` for lags 0 … span - width."""
    span = frames.shape[1]
    size = 2 ** math.ceil(math.log2(span + width))
    spectra = torch.fft.rfft(frames[:, :width], size).conj() * torch.fft.rfft(frames, size)
    product = torch.fft.irfft(spectra, size)[:, : span - width + 1]
    energy = torch.nn.functional.pad(frames.square().cumsum(1), (1, 0))
    energy = energy[:, width:] - energy[:, : span - width + 1]
    return (energy[:, :1] + energy - 2 * product).clamp_min(0)


def _mfcc1(power: Float[Tensor, "frames bins"], sample_rate: int) -> Float[Tensor, " frames"]:
    top = min(_MEL_HIGH, sample_rate / 2)
    bank = melscale_fbanks(power.shape[1], _MEL_LOW, top, _MEL_BANDS, sample_rate).to(power)
    mel = power @ bank
    # Pauses count as 80 dB below the peak, whatever the noise of the recording.
    level = mel.clamp_min(max(1e-8 * float(mel.max()), 1e-30)).log()
    places = torch.arange(_MEL_BANDS, dtype=power.dtype, device=power.device) + 0.5
    return level @ (torch.pi * places / _MEL_BANDS).cos() * math.sqrt(2 / _MEL_BANDS)


def _z(x: Tensor) -> Tensor:
    """Without mean and in units of standard deviation, both over what is not NaN."""
    centred = x - x.nanmean()
    return centred / centred.square().nanmean().sqrt().clamp_min(1e-12)
