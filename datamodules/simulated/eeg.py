"""Simulated EEG of people who hear generated speech: known code, delay, place, gain and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from datamodules.sentences import SentenceResponses, contiguous_folds
from datamodules.simulated.speech import sentence_valence, simulated_speech
from datamodules.simulated.synthesis.sound import coloured_noise, make_generator
from datamodules.stimuli import Provenance

PROVENANCE = Provenance(
    source="generated", licence="CC0-1.0", device="simulated EEG", simulated=True
)
CODE_RATE = 100
"""Frames a second of the code (Hz)."""
SPREAD, REACH = 0.04, 0.08
"""Standard deviation of a patch of scalp, and where a planted topography ends (m)."""
_NOISE, _MIXING = 21, 22
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
    centre: str | None = None,
    prosody: float = 0.0,
    prosody_gain: float = 1.0,
) -> SentenceResponses:
    """EEG that follows eight bands of the speech's spectrum, mixed to 32 electrodes.

    ``response = gain mixing (code * kernel) + noise``: see :func:`respond`. The truth is to be had
    from :func:`topography` and :func:`datamodules.simulated.speech.sentence_valence`.

    Parameters
    ----------
    snr : float
        Variance of the response over that of the noise, mean over electrodes, at the rate of the
        code: at a lower one it is higher, as the noise is the faster; 0 is noise alone.
    lag : float
        Time to the kernel's peak (s).
    rate : int
        Samples of the response a second (Hz); divides 100.
    seconds : (float, float)
        Shortest and longest sentence (s).
    before, after : float
        Recorded before the onset and after the end (s).
    centre : str, optional
        Electrode around which alone people respond, such as ``Cz``; default all over the head.
    prosody : float
        How much the delivery of negative, neutral and positive sentences differs.
    prosody_gain : float
        Of the response to sentences of negative valence; 1 is no effect.

    Raises
    ------
    ValueError
        Where the electrode is unknown, or a gain is asked for but all sentences sound alike.
    """
    if prosody_gain != 1 and not prosody:
        raise ValueError(
            f"prosody_gain {prosody_gain:g} but prosody 0: negative sentences sound like others, "
            "set prosody, such as 1.5"
        )
    stimuli, words = simulated_speech(n_sentences, seconds, prosody, seed, sample_rate)
    negative = sentence_valence(n_sentences, seed) == 0
    gains = [prosody_gain if low else 1.0 for low in negative.tolist()]
    codes = [
        spectral_code(stimuli.waveform(i, sample_rate), sample_rate) for i in range(n_sentences)
    ]
    values, positions, names = respond(
        codes, CODE_RATE, n_subjects, snr, lag, rate, before, after, seed, centre, gains
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
        words=words,
    )


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
    centre: str | None = None,
    gains: Sequence[float] | None = None,
) -> tuple[tuple[Tensor, ...], Tensor, tuple[str, ...]]:
    """Responses of 32 electrodes to codes: delayed, mixed, with noise that falls as 1/f.

    The kernel ``(t / L)^4 exp(4 (1 - t / L))`` is causal and peaks at the lag L. Every dimension
    of a code comes from a patch of scalp of its own; subjects share its place and differ in its
    strength at each electrode (.7 to 1.3). Noise is mixed over neighbouring electrodes too.

    Parameters
    ----------
    codes : sequence of arrays of shape (frames, dimensions)
        What is answered, such as the features of one layer; one array for each sentence.
    code_rate : int
        Frames a second (Hz), a multiple of ``rate``.
    snr : float
        Of gain 1, mean over electrodes and sentences.
    centre : str, optional
        All patches lie around this electrode, and the noiseless response has a standard
        deviation in proportion to :func:`topography`.
    gains : sequence of float, optional
        Of each sentence; default 1.

    Returns
    -------
    values : tuple of tensors of shape (subjects, times, 32), float32
    positions : tensor of shape (32, 3)
    names : tuple of str
    """
    positions, names = electrodes()
    sources = _sources(codes, code_rate, lag, before, after, seed, centre)
    power = np.mean(np.square(np.concatenate(sources)))
    values = []
    gains = [1.0] * len(sources) if gains is None else gains
    for i, (source, gain) in enumerate(zip(sources, gains, strict=True)):
        people = []
        for subject in range(n_subjects):
            draw = make_generator(seed, _NOISE, subject, i)
            strength = make_generator(seed, _MIXING, subject).uniform(0.7, 1.3, source.shape[1])
            noise = _noise(draw, len(source), positions, code_rate)
            scale = gain * np.sqrt(snr / power) if snr > 0 else 0.0
            people.append(scale * source * strength + noise)
        values.append(_slower(np.stack(people), code_rate, rate))
    return tuple(values), torch.from_numpy(positions), names


def _sources(
    codes: Sequence[FloatArray],
    code_rate: int,
    lag: float,
    before: float,
    after: float,
    seed: int,
    centre: str | None,
) -> list[FloatArray]:
    """Responses without noise, of everybody: arrays of shape (times, electrodes)."""
    time = np.arange(1, code_rate + 1) / code_rate / lag
    kernel = np.append(0.0, time**4 * np.exp(4 * (1 - time)))[:, None]
    pads = [round(x * code_rate) for x in (before, after)]
    positions, _ = electrodes()
    weight = np.ones(len(positions)) if centre is None else topography(centre).numpy()
    draw = make_generator(seed, _MIXING)
    centres = np.resize(draw.permutation(np.flatnonzero(weight)), codes[0].shape[1])
    mixing = _patches(draw, positions, centres)
    sources = []
    for code in codes:
        padded = np.pad(code, ((pads[0], pads[1]), (0, 0)))
        sources.append(fftconvolve(padded, kernel, axes=0)[: len(padded)] @ mixing)
    if centre is None:
        return sources
    level = np.concatenate(sources).std(0)
    return [source * (weight / level) for source in sources]


def electrodes() -> tuple[FloatArray, tuple[str, ...]]:
    """Positions (m) and names of the BioSemi cap of 32."""
    import mne  # its import takes a second

    placed = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    return np.stack(list(placed.values())), tuple(placed)


def topography(centre: str) -> Tensor:
    """Planted weight of each electrode: standard deviation of its response over that at ``centre``.

    w_e = exp(-d_e^2 / (2 SPREAD^2)) within REACH, else 0; d_e the distance to ``centre`` (m).

    Returns
    -------
    tensor of shape (32,), float64
        In the order of :func:`electrodes`.

    Raises
    ------
    ValueError
        Where there is no such electrode.
    """
    positions, names = electrodes()
    if centre not in names:
        raise ValueError(f"no electrode {centre}: expected one of {', '.join(names)}")
    apart = np.linalg.norm(positions - positions[names.index(centre)], axis=-1)
    weight = np.where(apart < REACH, np.exp(-0.5 * np.square(apart / SPREAD)), 0.0)
    return torch.from_numpy(weight)


def _patches(
    draw: np.random.Generator, positions: FloatArray, centres: NDArray[np.int64]
) -> FloatArray:
    """Smooth topographies (dimensions, electrodes) of random sign, about an electrode each."""
    apart = np.linalg.norm(positions[centres][:, None] - positions, axis=-1)
    return np.exp(-0.5 * np.square(apart / SPREAD)) * draw.choice([-1.0, 1.0], (len(centres), 1))


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
