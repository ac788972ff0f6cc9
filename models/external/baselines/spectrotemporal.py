"""Cochleagram and spectrotemporal modulation energies: what acoustics alone explain.

Written from the parameters of the SpectroTemporal model of Tuckute et al. 2023 (after Chi, Ru &
Shamma 2005) and of its cochleagram (jenellefeather/chcochleagram).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from models.encoder import Frames

RATE, SAMPLES = 20_000, 40_000
BANDS, OVERLAP = 203, 4
STRIDE, TAPS = 100, 1001
FRAME_RATE = RATE / STRIDE
TEMPORAL_RATES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SPECTRAL_SCALES = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
CHUNK = 16
"""Channels filtered together: as many as a CPU's cache holds."""
PER_ERB = 6
"""Cochlear channels per ERB; temporal rates are in Hz, spectral scales in cycles per ERB."""


class Cochleagram(nn.Module):
    """Compressed envelopes of 211 cochlear channels at 200 Hz.

    Each clip without its mean and at an RMS of .1. ``((envelope floored at 0) + 1e-8) ** 0.3``;
    envelopes are magnitudes of the analytic signal whose positive frequencies are not doubled,
    as in the original.

    Parameters
    ----------
    batch : int
        Clips of equal length that are filtered together; more than one is slower on a CPU, whose
        cache it leaves.
    """

    layers: tuple[str, ...] = ("cochleagram",)
    sample_rate = RATE
    filters: Tensor
    kernel: Tensor

    def __init__(self, name: str = "cochleagram", batch: int = 1) -> None:
        super().__init__()
        self.name, self.batch = name, batch
        self.register_buffer("filters", cochlear_filters(SAMPLES), False)
        self.register_buffer("kernel", downsampling_kernel(), False)

    def cochleagram(self, audio: Float[Tensor, "b s"]) -> Float[Tensor, "b channels frames"]:
        """Of clips of one length: 211 channels, 390 frames for two seconds."""
        samples = audio.shape[1]
        filters = self.filters
        if samples != SAMPLES:
            filters = cochlear_filters(samples).to(audio.device)
        audio = audio - audio.mean(1, keepdim=True)
        audio = audio * (0.1 / audio.square().mean(1, keepdim=True).sqrt().clamp_min(1e-12))
        spectrum = torch.fft.rfft(audio)
        # Appended zeros stand for the negative frequencies: the magnitude is the envelope.
        slow = [
            self._downsample(torch.fft.ifft(spectrum[:, None] * some, n=samples).abs())
            for some in filters.split(CHUNK)
        ]
        return (torch.cat(slow, 1).clamp_min(0) + 1e-8) ** 0.3

    def _downsample(self, envelope: Float[Tensor, "b c s"]) -> Float[Tensor, "b c frames"]:
        """Valid correlation with the kernel, every ``STRIDE`` samples.

        Blocks of one stride are multiplied by every stride of the kernel, so that no window is
        copied; a frame is the sum over the blocks that it covers.
        """
        frames = 1 + (envelope.shape[-1] - TAPS) // STRIDE
        covered = -(-TAPS // STRIDE)
        reach = (frames - 1 + covered) * STRIDE
        padded = nn.functional.pad(envelope, (0, reach - envelope.shape[-1]))
        taps = nn.functional.pad(self.kernel, (0, covered * STRIDE - TAPS)).view(covered, STRIDE)
        parts = padded.unflatten(-1, (-1, STRIDE)) @ taps.T
        return sum(parts[..., i : i + frames, i] for i in range(covered))  # type: ignore[return-value]

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        """Frames that lie inside each clip; one that is shorter than a frame is padded."""
        clips = [clip[:n] for clip, n in zip(audio, lengths.tolist(), strict=True)]
        clips = [nn.functional.pad(clip, (0, max(0, TAPS - len(clip)))) for clip in clips]
        return self._frames([frames.T for frames in self._cochleagrams(clips)])

    def _cochleagrams(self, clips: list[Tensor]) -> list[Tensor]:
        """Of each clip, those of one length together: what a clip gives depends on no other."""
        found: dict[int, Tensor] = {}
        for length in {len(clip) for clip in clips}:
            same = [i for i, clip in enumerate(clips) if len(clip) == length]
            for first in range(0, len(same), self.batch):
                chosen = same[first : first + self.batch]
                made = self._describe(self.cochleagram(torch.stack([clips[i] for i in chosen])))
                found |= dict(zip(chosen, made, strict=True))
        return [found[i] for i in range(len(clips))]

    def _describe(self, cochleagram: Tensor) -> Tensor:
        return cochleagram

    def _frames(self, clips: list[Tensor]) -> dict[str, Frames]:
        values = nn.utils.rnn.pad_sequence(clips, batch_first=True)
        count = torch.tensor([len(clip) for clip in clips], device=values.device)
        return {self.layers[0]: Frames(values, count, FRAME_RATE, (TAPS // 2) / RATE)}


class SpectroTemporal(Cochleagram):
    """Mean energy of 111 modulation filters in each of 211 cochlear channels: 23,421 features.

    One frame for each piece of two seconds; a shorter clip is padded with silence, a shorter
    last piece left out. Filters are separable, direction-selective and applied in the Fourier
    domain of the zero-padded cochleagram: spectral filters and directions
    first, of which there are 13, then the nine temporal filters on each.
    """

    layers: tuple[str, ...] = ("spectrotemporal",)
    temporal: Tensor
    spectral: Tensor

    def __init__(self, name: str = "spectrotemporal", batch: int = 1) -> None:
        super().__init__(name, batch)
        frames = 1 + (SAMPLES - TAPS) // STRIDE
        channels = self.filters.shape[0]
        self.register_buffer("temporal", temporal_filters(frames), False)
        self.register_buffer("spectral", spectral_filters(channels), False)

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        """One frame for each piece of two seconds."""
        pieces, counts = [], [max(1, n // SAMPLES) for n in lengths.tolist()]
        for clip, length, count in zip(audio, lengths.tolist(), counts, strict=True):
            clip = clip[: min(length, count * SAMPLES)]
            pieces += list(nn.functional.pad(clip, (0, count * SAMPLES - len(clip))).split(SAMPLES))
        described = torch.stack(self._cochleagrams(pieces))
        return self._frames(list(described.split(counts)))

    def _describe(self, cochleagram: Tensor) -> Tensor:
        channels, frames = cochleagram.shape[1:]
        padded = torch.fft.rfft2(100 * cochleagram, s=(2 * channels, 3 * frames))
        features = []
        for sign in (-1, 1):
            oriented = _oriented(padded, sign)
            rates = self.temporal if sign < 0 else self.temporal[1:]
            for scale in self.spectral if sign < 0 else self.spectral[1:]:
                # Channels past the last one are padding: they are cropped before time is undone.
                columns = torch.fft.ifft(oriented * scale[:, None], dim=1)[:, :channels]
                filtered = columns[:, None] * rates[:, None]
                energy = torch.fft.irfft(filtered, n=3 * frames)[..., :frames].square()
                features.append(energy.clamp_min(1e-8).mean(-1))
        return torch.cat(features, 1).flatten(1)

    def _frames(self, clips: list[Tensor]) -> dict[str, Frames]:
        (frames,) = super()._frames(clips).values()
        rate = RATE / SAMPLES
        return {self.layers[0]: Frames(frames.values, frames.lengths, rate, 0.5 / rate)}


def erb_number(frequency: Tensor) -> Tensor:
    """Place on the ERB scale of a frequency (Hz), Glasberg & Moore 1990."""
    return 9.265 * torch.log1p(frequency / (24.7 * 9.265))


def cochlear_filters(samples: int) -> Float[Tensor, "channels bins"]:
    """Transfer functions for clips of so many samples.

    Half-cosine filters of 203 places from 50 Hz to 10 kHz, four times overlapping.

    Four low-pass and four high-pass filters complete them, so that squared responses sum to 1.
    """
    frequency = torch.fft.rfftfreq(samples, 1 / RATE, dtype=torch.float64)
    places = erb_number(frequency)
    ends = erb_number(torch.tensor([50.0, RATE / 2], dtype=torch.float64))
    grid = torch.linspace(float(ends[0]), float(ends[1]), BANDS + 2, dtype=torch.float64)
    step, centres = grid[1] - grid[0], grid[1:-1]
    distance = places - centres[:, None]
    bands = torch.where(
        distance.abs() < OVERLAP * step, torch.cos(math.pi * distance / (2 * OVERLAP * step)), 0.0
    )
    rest = (1 - bands.square()).clamp_min(0).sqrt()
    low = torch.where(distance < 0, rest, 0.0)[:OVERLAP]
    high = torch.where(distance > 0, rest, 0.0)[-OVERLAP:]
    return (torch.cat([low, bands, high]) / 2).float()


def downsampling_kernel() -> Float[Tensor, " taps"]:
    """Kaiser-windowed sinc from 20 kHz to 200 Hz; off by half a sample, as in the original."""
    time = torch.arange(TAPS, dtype=torch.float64) - TAPS / 2
    window = torch.kaiser_window(TAPS, periodic=False, beta=5, dtype=torch.float64)
    return (torch.sinc(time / STRIDE) / STRIDE * window).float()


def temporal_filters(frames: int) -> Complex[Tensor, "rates bins"]:
    """Transfer functions of ``sin(2 pi u) u² exp(-3.5 u)``, u = rate x time, magnitude at most 1.

    The first passes the mean only; the last passes everything above its peak.
    """
    time = torch.arange(frames, dtype=torch.float64) / FRAME_RATE
    filters = []
    for rate in TEMPORAL_RATES:
        if rate == 0:
            response = torch.zeros(3 * frames // 2 + 1, dtype=torch.complex128)
            response[0] = 1
        else:
            u = rate * time
            impulse = torch.sin(2 * math.pi * u) * u.square() * torch.exp(-3.5 * u)
            response = torch.fft.rfft(impulse - impulse.mean(), n=3 * frames)
            magnitude = response.abs() / response.abs().max()
            if rate == TEMPORAL_RATES[-1]:
                magnitude[magnitude.argmax() :] = 1
            response = torch.polar(magnitude, response.angle())
        filters.append(response)
    return torch.stack(filters).to(torch.complex64)


def spectral_filters(channels: int) -> Float[Tensor, "scales bins"]:
    """Transfer functions ``q exp(1 - q)``, q = (frequency / scale)², over positive and negative.

    The first passes the mean only; the last passes everything above its peak.
    """
    half = PER_ERB * torch.arange(channels + 1, dtype=torch.float64) / (2 * channels)
    filters = []
    for scale in SPECTRAL_SCALES:
        if scale == 0:
            response = torch.zeros_like(half)
            response[0] = 1
        else:
            q = (half / scale).square()
            response = q * torch.exp(-q)
            response = response / response.max()
            if scale == SPECTRAL_SCALES[-1]:
                response[response.argmax() :] = 1
        filters.append(torch.cat([response, response[1:-1].flip(0)]))
    return torch.stack(filters).float()


def _oriented(spectrum: Complex[Tensor, "b rows bins"], sign: int) -> Tensor:
    """Without the modulations that move the other way; means and Nyquist frequencies stay.

    Temporal frequencies are positive here, so that a positive sign keeps positive spectral ones.
    """
    half = spectrum.shape[1] // 2
    away = slice(half + 1, None) if sign > 0 else slice(1, half)
    kept = spectrum.clone()
    kept[:, away, 1:-1] = 0
    return kept
