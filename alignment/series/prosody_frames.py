"""Pitch, loudness and spectrum of speech, frame by frame.

Written for sentences of clean speech; a stand-in for openSMILE's eGeMAPS, not a copy of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torchaudio.functional import melscale_fbanks

_WINDOW = 0.025  # s
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
