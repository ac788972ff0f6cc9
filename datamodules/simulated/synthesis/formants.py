"""A parallel formant synthesiser.

A pulse train and noise pass, frame by frame, through formant resonances that move between vowel
targets (Klatt, 1980, "Software for a cascade/parallel formant synthesizer", JASA 67, section II).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from datamodules.simulated.synthesis.sound import FloatArray, Signal
from datamodules.simulated.synthesis.syllables import FRICATIVES, NASAL, VOWELS, Speaker, Syllable

FRAME_HOP = 0.010
_AMPLITUDE = np.array([1.0, 0.55, 0.25, 0.12])
_HALF_BANDWIDTH = np.array([45.0, 60.0, 90.0, 140.0])

T = TypeVar("T", np.float32, np.float64)


def render(
    generator: np.random.Generator,
    voice: Speaker,
    syllables: tuple[Syllable, ...],
    seconds: float,
    sample_rate: int,
) -> tuple[Signal, float]:
    """Speak ``syllables``.

    Returns
    -------
    signal : array of shape (samples,), float32
    f0 : float
        Median fundamental frequency of the voiced frames (Hz).
    """
    samples = round(seconds * sample_rate)
    hop = round(FRAME_HOP * sample_rate)
    frames = samples // hop + 2
    tracks = _Tracks.of(syllables, voice, frames, generator)
    pulses = _pulses(generator, tracks.f0, frames, hop, sample_rate)
    noise = generator.standard_normal(frames * hop, dtype=np.float32)
    source = pulses * _upsample(tracks.voiced.astype(np.float32), hop)
    source += noise * _upsample(
        (tracks.noise + voice.breath * tracks.voiced).astype(np.float32), hop
    )
    signal = _filter(source, tracks.envelope(voice, hop, sample_rate), hop)[:samples]
    return signal, float(np.median(tracks.f0[tracks.voiced > 0.5 * tracks.voiced.max()]))


@dataclass(frozen=True)
class _Tracks:
    """Control tracks at one value a frame: gains, F0 (Hz), formants and frication centre (Hz)."""

    voiced: FloatArray
    noise: FloatArray
    f0: FloatArray
    formants: FloatArray  # (frames, 4)
    frication: FloatArray

    @classmethod
    def of(
        cls,
        syllables: tuple[Syllable, ...],
        voice: Speaker,
        frames: int,
        generator: np.random.Generator,
    ) -> _Tracks:
        voiced, noise = np.zeros(frames), np.zeros(frames)
        pitch, frication = np.zeros(frames), np.full(frames, 3000.0)
        formants = np.full((frames, 4), np.nan)
        for syllable in syllables:
            vowel_onset = syllable.onset + syllable.consonant_seconds
            start = round(syllable.onset / FRAME_HOP)
            middle = round(vowel_onset / FRAME_HOP)
            stop = round((vowel_onset + syllable.vowel_seconds) / FRAME_HOP)
            jitter = 1 + generator.normal(0, syllable.scatter, 4)
            formants[start:stop] = np.array(VOWELS[syllable.vowel]) * jitter
            arch = np.hanning(max(stop - middle, 1) + 2)[1:-1] ** 0.4
            level = 10 ** (4 * syllable.stress / 20)
            voiced[middle:stop] = level * arch[: max(len(voiced[middle:stop]), 0)]
            # Accents move the pitch by up to two semitones; phrases fall by four over two seconds.
            movement = 2 * syllable.stress - 2 * (syllable.onset % 2.0)
            pitch[start:stop] = voice.intonation * movement
            consonant = syllable.consonant
            if consonant == "nasal":
                formants[start:middle] = NASAL
                voiced[start:middle] = 0.35 * level
            elif consonant == "plosive":
                burst = slice(max(middle - 2, start), middle)
                noise[burst], frication[burst] = 0.7, generator.choice((1500.0, 3000.0, 4500.0))
            elif consonant in FRICATIVES:
                frication[start:middle], noise[start:middle] = FRICATIVES[consonant]
        formants = _fill(formants) * voice.tract
        return cls(
            voiced=_smooth(voiced, 3),
            noise=_smooth(noise, 3),
            f0=voice.f0 * 2 ** (_smooth(pitch, 9) / 12),
            formants=np.stack([_smooth(track, 11) for track in formants.T], axis=1),
            frication=frication,
        )

    def envelope(self, voice: Speaker, hop: int, sample_rate: int) -> Signal:
        """Zero-phase gain of each frame, of shape (frames, 2 hop + 1)."""
        frequency = np.fft.rfftfreq(4 * hop, 1 / sample_rate).astype(np.float32)
        gain = np.full((len(self.f0), len(frequency)), 0.01, dtype=np.float32)
        work = np.empty_like(gain)
        for k in range(4):
            centre = self.formants[:, k, None].astype(np.float32)
            # In place: this loop is most of the cost of a sound.
            np.subtract(frequency, centre, out=work)
            work *= np.float32(1 / (_HALF_BANDWIDTH[k] * voice.tract))
            work *= work
            work += 1
            gain += np.divide(np.float32(_AMPLITUDE[k]), work, out=work)
        tilt = np.maximum(frequency / 500, 1) ** (voice.tilt / 6.02)
        gain *= (tilt * np.minimum(frequency / 80, 1)).astype(np.float32)
        rows = np.flatnonzero(self.noise > 0.02)
        share = (self.noise / (self.noise + self.voiced + 1e-6))[rows, None].astype(np.float32)
        centre = self.frication[rows, None].astype(np.float32)
        band = np.exp(-0.5 * ((frequency - centre) / (0.28 * centre)) ** 2)
        gain[rows] = (1 - share) * gain[rows] + share * 0.25 * band
        return gain


def _smooth(track: FloatArray, frames: int) -> FloatArray:
    """Moving average with edges held, so that articulators move rather than jump."""
    padded = np.pad(track, frames // 2, mode="edge")
    return np.convolve(padded, np.ones(frames) / frames, mode="valid")


def _upsample(track: NDArray[T], hop: int) -> NDArray[T]:
    """Linear interpolation from one value a frame to ``hop``; the last value is held."""
    slope = np.diff(track, append=track[-1:])
    ramp = (np.arange(hop) / hop).astype(track.dtype)
    return (track[:, None] + slope[:, None] * ramp).reshape(-1)


def _fill(formants: FloatArray) -> FloatArray:
    """Hold the last target through pauses; before the first syllable, take the first."""
    known = ~np.isnan(formants[:, 0])
    if not known.any():
        return np.tile(np.array(VOWELS["er"]), (len(formants), 1))
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    return formants[np.where(last < 0, int(np.argmax(known)), last)]


def _pulses(
    generator: np.random.Generator, f0: FloatArray, frames: int, hop: int, sample_rate: int
) -> Signal:
    """Unit-power pulse train that follows ``f0``, each pulse shared by the two nearest samples."""
    flutter = 1 + 0.006 * _smooth(generator.standard_normal(frames), 5)
    step = _upsample(f0 * flutter / sample_rate, hop)
    phase = np.cumsum(step)
    at = np.flatnonzero(np.diff(phase.astype(np.int32)))
    fraction = (np.ceil(phase[at]) - phase[at]) / step[at]
    height = 1 / np.sqrt(step[at])
    pulses = np.zeros(frames * hop + 1, dtype=np.float32)
    pulses[at] = height * (1 - fraction)
    pulses[at + 1] += height * fraction
    return pulses[:-1]


def _filter(source: Signal, gain: Signal, hop: int) -> Signal:
    """Overlap-add filtering by Hann frames of two hops, with room of one hop on either side."""
    frames = len(gain)
    blocks = np.concatenate([np.zeros(hop, np.float32), source, np.zeros(hop, np.float32)])
    blocks = blocks.reshape(frames + 2, hop)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    padded = np.zeros((frames, 4 * hop), dtype=np.float32)
    padded[:, hop : 2 * hop] = blocks[:frames] * window[:hop]
    padded[:, 2 * hop : 3 * hop] = blocks[1 : frames + 1] * window[hop:]
    filtered = irfft(rfft(padded) * gain, 4 * hop).reshape(frames, 4, hop)
    output = np.zeros((frames + 3, hop), dtype=np.float32)
    for part in range(4):
        output[part : part + frames] += filtered[:, part]
    # Frame k starts one hop before its window, which starts one hop before its samples.
    return output[2:].reshape(-1)[: frames * hop]
