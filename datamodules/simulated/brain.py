"""A simulated auditory cortex: a known spectrotemporal code of generated sounds, plus noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d
from torchaudio.functional import melscale_fbanks

from datamodules.simulated.sounds import BRAIN, family_of, numbered_sound
from datamodules.simulated.synthesis.sound import make_generator
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet

TARGETS = (
    "low_frequency",
    "high_frequency",
    "temporal_modulation",
    "pitch_strength",
    "speech_like",
    "music_like",
)
PROVENANCE = Provenance(source="generated", licence="CC0-1.0", simulated=True)
# Random streams apart from those of the sounds (datamodules/simulated/sounds.py).
_NOISE, _FOLDS, _MIXTURES = 10, 11, 12
_FRAME_RATE = 100  # Hz


def simulated_brain(
    n_sounds: int = 165,
    seed: int = 0,
    reliability: float = 0.8,
    n_targets: int = len(TARGETS),
    seconds: float = 2.0,
    sample_rate: int = 24_000,
    category: float = 0.5,
    n_folds: int = 5,
) -> ResponseSet:
    """Noisy responses of known units to generated sounds.

    ``response = sqrt(reliability) * z(code) + sqrt(1 - reliability) * noise``, with unit Gaussian
    noise, so the expected squared correlation of response and code is ``reliability``.

    Parameters
    ----------
    n_sounds : int
        Speech, music and environment in turn; disjoint from all pretraining sounds.
    seed : int
        Sounds, noise and folds depend on it.
    reliability : float
        In (0, 1].
    n_targets : int
        The first six are ``TARGETS``; further ones are voxels that mix the six at random.
    seconds : float
        Length of a sound (s).
    sample_rate : int
        Hz.
    category : float
        Weight of the family in ``speech_like`` and ``music_like``, in standard deviations.
    n_folds : int
        Folds are balanced over the families.

    Returns
    -------
    ResponseSet
        Its ceiling is the empirical squared correlation of response and noiseless code, target by
        target, which scatters about ``reliability``.

    Raises
    ------
    ValueError
        If the reliability is outside (0, 1].
    """
    if not 0 < reliability <= 1:
        raise ValueError(f"reliability {reliability}: expected more than 0 and at most 1")
    stimuli = brain_stimuli(n_sounds, seed, seconds, sample_rate)
    code = simulated_code(stimuli, n_targets, sample_rate, category, seed)
    noise = torch.from_numpy(make_generator(seed, _NOISE).standard_normal(code.shape))
    values = reliability**0.5 * code + (1 - reliability) ** 0.5 * noise
    voxels = tuple(f"voxel_{k:03d}" for k in range(n_targets - len(TARGETS)))
    return ResponseSet(
        stimuli=stimuli,
        values=values,
        targets=TARGETS[:n_targets] + voxels,
        folds=balanced_folds(_families(stimuli), n_folds, make_generator(seed, _FOLDS)),
        provenance=PROVENANCE,
        ceiling=(_z(values) * code).mean(0).square(),
    )


def brain_stimuli(
    n_sounds: int = 165, seed: int = 0, seconds: float = 2.0, sample_rate: int = 24_000
) -> StimulusSet:
    """The sounds of :func:`simulated_brain`, at an RMS of 0.02."""
    return StimulusSet(
        name=f"simulated_brain_{n_sounds}x{seconds:g}s_seed{seed}",
        ids=[f"sim_{family_of(i)}_{i:04d}" for i in range(n_sounds)],
        sources=[partial(_brain_sound, seed, i, seconds, sample_rate) for i in range(n_sounds)],
        rms=0.02,
    )


def _brain_sound(seed: int, index: int, seconds: float, sample_rate: int) -> tuple[Tensor, int]:
    return numbered_sound(seed, BRAIN, index, seconds, sample_rate)[0], sample_rate


def simulated_code(
    stimuli: StimulusSet,
    n_targets: int = len(TARGETS),
    sample_rate: int = 24_000,
    category: float = 0.5,
    seed: int = 0,
) -> Tensor:
    """The noise-free responses of :func:`simulated_brain`, whose parameters these are.

    Two units are nearly linear in a sound's mean spectrum (``low_frequency``, ``high_frequency``);
    the others follow its modulations and periodicity, the last two through a sigmoid.

    Parameters
    ----------
    stimuli : StimulusSet
        Of equal lengths, with the family as second part of each name (``sim_speech_0012``).

    Returns
    -------
    tensor of shape (stimuli, n_targets), float64
        Zero mean and unit variance over stimuli.
    """
    waveforms = torch.stack([stimuli.waveform(i, sample_rate) for i in range(len(stimuli))])
    units = [_units(chunk, sample_rate) for chunk in waveforms.split(32)]
    code = _z(torch.cat(units).double())
    # The static nonlinearity: an expansive threshold, as of a unit that answers few sounds.
    code[:, 4:] = torch.sigmoid(2 * (code[:, 4:] - 0.5))
    code = _z(code)
    families = np.array(_families(stimuli))
    for column, family in ((4, "speech"), (5, "music")):
        code[:, column] += category * torch.from_numpy(families == family)
    code = _z(code)
    n_voxels = max(n_targets - len(TARGETS), 0)
    weights = make_generator(seed, _MIXTURES).standard_normal((len(TARGETS), n_voxels))
    return torch.cat([code, _z(code @ torch.from_numpy(weights))], dim=1)[:, :n_targets]


def balanced_folds(
    groups: Sequence[str | int], n_folds: int, generator: np.random.Generator
) -> Tensor:
    """Random folds in which every group, and the whole, is spread as evenly as can be.

    Returns
    -------
    tensor of shape (len(groups),), int64
    """
    keys = np.asarray(groups)
    order = np.concatenate(
        [generator.permutation(np.flatnonzero(keys == key)) for key in np.unique(keys)]
    )
    folds = np.empty(len(keys), dtype=np.int64)
    folds[order] = np.arange(len(keys)) % n_folds
    return torch.from_numpy(folds)


def _families(stimuli: StimulusSet) -> list[str]:
    return [name.split("_")[1] for name in stimuli.ids]


def _z(values: Tensor) -> Tensor:
    centred = values - values.mean(0)
    return centred / centred.square().mean(0).sqrt().clamp_min(1e-12)


def _units(waveforms: Tensor, sample_rate: int) -> Tensor:
    """The six units before nonlinearity, of shape (sounds, 6), from waveforms (sounds, samples)."""
    length = 2 ** round(np.log2(0.043 * sample_rate))
    hop = sample_rate // _FRAME_RATE
    spectrum = torch.stft(
        waveforms, length, hop, window=torch.hann_window(length), return_complex=True
    )
    power = spectrum.abs().square()  # (sounds, frequencies, frames)
    frequency = torch.fft.rfftfreq(length, 1 / sample_rate)
    pitch = _pitch_strength(power, sample_rate)
    modulation, joint = _modulation(power, sample_rate)
    return torch.stack(
        [
            power[:, frequency < 400].mean((1, 2)).add(1e-5).log(),
            power[:, frequency > 3000].mean((1, 2)).add(1e-5).log(),
            modulation,
            pitch,
            joint,
            _tonal_stability(power[:, frequency < 4000]),
        ],
        dim=1,
    )


def _modulation(power: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Modulation energy ratios of a compressed cochleagram, each of shape (sounds,).

    Returns
    -------
    temporal : tensor
        log of the energy at 2-8 Hz over that at 8-40 Hz, of the sum over bands.
    joint : tensor
        log of the share of energy at 2-8 Hz and 1-4 cycles over the spectrum at once: the region
        of syllables with formants.
    """
    bank = melscale_fbanks(power.shape[1], 60.0, sample_rate / 2, 48, sample_rate)
    cochleagram = torch.einsum("sft,fb->sbt", power, bank).clamp_min(1e-9) ** 0.15
    cochleagram = cochleagram - cochleagram.mean(2, keepdim=True)
    energy = torch.fft.rfft2(cochleagram).abs().square()  # (sounds, scales, rates), 0 = broadband
    rate = torch.fft.rfftfreq(power.shape[2], 1 / _FRAME_RATE)
    scale = torch.fft.fftfreq(bank.shape[1], 1 / bank.shape[1]).abs()
    syllabic, fast = (rate >= 2) & (rate <= 8), (rate > 8) & (rate <= 40)
    formant = (scale >= 1) & (scale <= 4)
    broadband = energy[:, 0]
    temporal = broadband[:, syllabic].sum(1) / broadband[:, fast].sum(1).clamp_min(1e-9)
    joint = energy[:, formant][:, :, syllabic].sum((1, 2)) / energy.sum((1, 2)).clamp_min(1e-9)
    return temporal.clamp_min(1e-6).log(), joint.clamp_min(1e-6).log()


def _pitch_strength(power: Tensor, sample_rate: int) -> Tensor:
    """Height of the autocorrelation peak at 80-600 Hz, weighted by energy, of shape (sounds,)."""
    length = 2 * (power.shape[1] - 1)
    window = torch.hann_window(length)
    taper = torch.fft.irfft(torch.fft.rfft(window, 2 * length).abs().square())[:length]
    # The spectra were not padded: the lags of interest stay below half a window, where the
    # circular overlap is small.
    correlation = torch.fft.irfft(power, dim=1)
    lags = torch.arange(sample_rate // 600, min(sample_rate // 80, length // 2))
    peak = (correlation[:, lags] / taper[lags, None] * taper[0]).amax(1)
    return peak.clamp_min(0).sum(1) / correlation[:, 0].sum(1).clamp_min(1e-9)


def _tonal_stability(power: Tensor) -> Tensor:
    """Correlation of the fine structure of spectra 100-200 ms apart, of shape (sounds,)."""
    level = power.add(1e-6).log().transpose(1, 2)  # (sounds, frames, frequencies)
    fine = level - avg_pool1d(level, 15, stride=1, padding=7, count_include_pad=False)
    fine = fine.clamp_min(0)
    fine = fine - fine.mean(2, keepdim=True)
    norm = fine.square().sum(2)
    lags = range(_FRAME_RATE // 10, _FRAME_RATE // 5 + 1, _FRAME_RATE // 20)
    stability = [
        (fine[:, lag:] * fine[:, :-lag]).sum((1, 2))
        / (norm[:, lag:] * norm[:, :-lag]).sqrt().sum(1).clamp_min(1e-9)
        for lag in lags
    ]
    return torch.stack(stability).mean(0)
