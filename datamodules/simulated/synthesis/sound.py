"""What every generated sound shares: its labels, its random stream, its level and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

Signal = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """The ground truth of one generated sound.

    Parameters
    ----------
    family : str
        ``speech``, ``music`` or ``environment``.
    subclass : str
        Kind of sound within the family.
    source : str
        Speaker, instrument or sounding object.
    f0 : float or None
        Median fundamental frequency of the voiced parts or of the melody (Hz), if there is one.
    rate : float
        Syllables, notes or events per second (Hz); 0 for stationary sounds.
    events : tuple of str
        Vowels or note names in order of onset.
    """

    family: str
    subclass: str
    source: str = ""
    f0: float | None = None
    rate: float = 0.0
    events: tuple[str, ...] = ()


def make_generator(seed: int, *key: int) -> np.random.Generator:
    """Random stream number ``key`` of ``seed``; different keys give independent streams."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    """One draw whose logarithm is uniform between ``low`` and ``high``."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def coloured_noise(
    generator: np.random.Generator,
    samples: int,
    sample_rate: int,
    slope: float = 0.0,
    low: float = 20.0,
    high: float = 20_000.0,
) -> Signal:
    """Gaussian noise with power spectrum f^-slope between two edges, at unit RMS.

    Parameters
    ----------
    slope : float
        0 is white, 1 pink, 2 brown.
    low, high : float
        Edges of the band (Hz); beyond them the level falls by 24 dB an octave.

    Returns
    -------
    array of shape (samples,), float32
    """
    length = next_fast_len(samples, real=True)
    frequency = np.fft.rfftfreq(length, 1 / sample_rate).astype(np.float32)
    frequency[0] = frequency[1]
    magnitude = frequency ** np.float32(-slope / 2)
    if low > 20.0:
        magnitude *= np.minimum(frequency / np.float32(low), 1) ** 4
    if high < sample_rate / 2:
        magnitude *= np.minimum(np.float32(high) / frequency, 1) ** 4
    # A Gaussian spectrum is Gaussian noise: one transform instead of two.
    spectrum = generator.standard_normal(2 * len(frequency), dtype=np.float32).view(np.complex64)
    spectrum *= magnitude
    spectrum[0] = 0
    noise = irfft(spectrum, length)[:samples]
    return np.asarray(noise / (rms(noise) + 1e-12), dtype=np.float32)


def rms(signal: Signal) -> np.float32:
    """Root mean square of a signal."""
    return np.float32(np.sqrt(np.dot(signal, signal) / max(len(signal), 1)))


def add_noise(signal: Signal, noise: Signal, snr_db: float) -> Signal:
    """Add ``noise`` at a signal-to-noise ratio of 20 log10(rms(signal) / rms(noise)) dB."""
    gain = np.float32(10 ** (-snr_db / 20)) * rms(signal) / (rms(noise) + np.float32(1e-12))
    return np.asarray(signal + gain * noise, dtype=np.float32)


def rove_level(generator: np.random.Generator, signal: Signal) -> Signal:
    """Scale to a peak drawn log-uniformly between 0.1 and 0.9."""
    peak = max(float(signal.max()), -float(signal.min()), 1e-9)
    return signal * np.float32(log_uniform(generator, 0.1, 0.9) / peak)
