"""Simulated EEG of people who hear generated speech: known code, delay, topography and noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from datamodules.sentences import SentenceResponses
from datamodules.stimuli import Provenance, StimulusSet
from datamodules.synthesis.sound import coloured_noise, seeded
from datamodules.synthesis.speech import speech

PROVENANCE = Provenance(
    source="generated", licence="CC0-1.0", device="simulated EEG", simulated=True
)
CODE_RATE = 100
"""Frames a second of the code (Hz)."""
_SOUND, _NOISE, _MIXING, _LENGTH = 20, 21, 22, 23
FloatArray = NDArray[np.float64]


def simulated_eeg(
    n_sentences: int = 40,
    n_subjects: int = 4,
    snr: float = 0.5,
    lag: float = 0.16,
    rate: int = 25,
    seconds: Sequence[float] = (3.0, 5.0),
    before: float = 0.4,
    after: float = 1.0,
    seed: int = 0,
    sample_rate: int = 24_000,
    n_folds: int = 5,
) -> SentenceResponses:
    """EEG that follows eight bands of the speech's spectrum, mixed to 32 electrodes.

    ``response = mixing (code * kernel) + noise``: see :func:`respond`.

    Parameters
    ----------
    snr : float
        Variance of the response over that of the noise, mean over electrodes; 0 is noise alone.
    lag : float
        Time to the kernel's peak (s).
    rate : int
        Samples of the response a second (Hz); divides 100.
    seconds : (float, float)
        Shortest and longest sentence (s).
    before, after : float
        Recorded before the onset and after the end (s).
    """
    draw = seeded(seed, _LENGTH)
    lengths = [float(x) for x in draw.uniform(seconds[0], seconds[1], n_sentences)]
    stimuli = StimulusSet(
        name=f"simulated_speech_{n_sentences}_seed{seed}",
        ids=[f"sentence{i:03d}" for i in range(n_sentences)],
        sources=[partial(_sentence, seed, i, lengths[i], sample_rate) for i in range(n_sentences)],
        rms=0.02,
    )
    codes = [
        spectral_code(stimuli.waveform(i, sample_rate), sample_rate) for i in range(n_sentences)
    ]
    values, positions, names = respond(
        codes, CODE_RATE, n_subjects, snr, lag, rate, before, after, seed
    )
    return SentenceResponses(
        stimuli=stimuli,
        values=values,
        rate=float(rate),
        start=-before,
        channels=names,
        subjects=tuple(f"subject{s:02d}" for s in range(n_subjects)),
        folds=contiguous_folds(n_sentences, n_folds),
        provenance=PROVENANCE,
        positions=positions,
    )


def contiguous_folds(count: int, folds: int) -> Tensor:
    """Blocks of neighbours of nearly equal size."""
    return torch.arange(count) * folds // count


def spectral_code(waveform: Tensor, sample_rate: int, bands: int = 8) -> FloatArray:
    """Log energy in mel bands, 100 frames a second, over the mean of each band: (frames, bands)."""
    hop = sample_rate // CODE_RATE
    window = torch.hann_window(4 * hop)
    power = torch.stft(waveform, 4 * hop, hop, window=window, return_complex=True).abs().square()
    filters = melscale_fbanks(power.shape[0], 80.0, 8000.0, bands, sample_rate)
    energy = (power.T @ filters + 1e-5).log().double()
    return (energy - energy.mean(0)).numpy()


def respond(
    codes: Sequence[FloatArray],
    code_rate: int,
    n_subjects: int,
    snr: float,
    lag: float,
    rate: int,
    before: float,
    after: float,
    seed: int = 0,
) -> tuple[tuple[Tensor, ...], Tensor, tuple[str, ...]]:
    """Responses of 32 electrodes to codes: delayed, mixed, with noise that falls as 1/f.

    The kernel ``(t / L)^4 exp(4 (1 - t / L))`` is causal and peaks at the lag L. Every dimension
    of a code comes from a patch of scalp of its own; subjects share its place and differ in its
    strength. Noise is mixed over neighbouring electrodes too.

    Returns
    -------
    values : tuple of tensors of shape (subjects, times, 32), float32
    positions : tensor of shape (32, 3)
    names : tuple of str
    """
    positions, names = electrodes()
    time = np.arange(1, code_rate + 1) / code_rate / lag
    kernel = time**4 * np.exp(4 * (1 - time))
    pads = [round(x * code_rate) for x in (before, after)]
    mixing = _patches(seeded(seed, _MIXING), positions, codes[0].shape[1])
    sources = []
    for code in codes:
        padded = np.pad(code, ((pads[0], pads[1]), (0, 0)))
        delayed = fftconvolve(
            padded, np.vstack([np.zeros_like(kernel[:1]), kernel[:, None]]), axes=0
        )
        sources.append(delayed[: len(padded)] @ mixing)
    power = np.mean(np.square(np.concatenate(sources)))
    values = []
    for i, source in enumerate(sources):
        people = []
        for subject in range(n_subjects):
            draw = seeded(seed, _NOISE, subject, i)
            strength = seeded(seed, _MIXING, subject).uniform(0.7, 1.3, source.shape[1])
            noise = _noise(draw, len(source), positions, code_rate)
            scale = np.sqrt(snr / power) if snr > 0 else 0.0
            people.append(scale * source * strength + noise)
        values.append(_slower(np.stack(people), code_rate, rate))
    return tuple(values), torch.from_numpy(positions), names


def electrodes() -> tuple[FloatArray, tuple[str, ...]]:
    """Positions (m) and names of the BioSemi cap of 32."""
    import mne  # its import takes a second

    placed = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    return np.stack(list(placed.values())), tuple(placed)


def _sentence(seed: int, index: int, seconds: float, sample_rate: int) -> tuple[Tensor, int]:
    signal, _ = speech(seeded(seed, _SOUND, index), seconds, sample_rate)
    return torch.from_numpy(np.asarray(signal, dtype=np.float32)), sample_rate


def _patches(draw: np.random.Generator, positions: FloatArray, count: int) -> FloatArray:
    """Smooth topographies (count, electrodes), each about an electrode of its own."""
    centres = draw.permutation(len(positions))[:count]
    apart = np.linalg.norm(positions[centres][:, None] - positions, axis=-1)
    return np.exp(-0.5 * np.square(apart / 0.04)) * draw.choice([-1.0, 1.0], (count, 1))


def _noise(draw: np.random.Generator, samples: int, positions: FloatArray, rate: int) -> FloatArray:
    """Noise of unit variance, half of it shared by neighbouring electrodes."""
    raw = np.stack([coloured_noise(draw, samples, rate, slope=1.0) for _ in positions], 1)
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    shared = raw.astype(float) @ np.exp(-0.5 * np.square(apart / 0.05))
    own = np.stack([coloured_noise(draw, samples, rate, slope=1.0) for _ in positions], 1)
    return np.asarray((_unit(shared) + _unit(own.astype(float))) / np.sqrt(2))


def _unit(x: FloatArray) -> FloatArray:
    return (x - x.mean(0)) / x.std(0)


def _slower(values: FloatArray, old: int, new: int) -> Tensor:
    """At a lower rate, filtered against aliasing; sample k stays at time k / rate."""
    if old % new:
        raise ValueError(f"rate {new} Hz: expected a divisor of {old}")
    return torch.from_numpy(resample_poly(values, 1, old // new, axis=1).astype(np.float32))
