"""Simulated classification tasks whose classes are known and whose statistics overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from datamodules.simulated.brain import PROVENANCE, balanced_folds
from datamodules.simulated.sounds import TASK
from datamodules.simulated.synthesis.environment import modulated_noise
from datamodules.simulated.synthesis.formants import render
from datamodules.simulated.synthesis.music import INSTRUMENTS, midi_frequency, note
from datamodules.simulated.synthesis.sound import Signal, add_noise, coloured_noise, make_generator
from datamodules.simulated.synthesis.speech import speech
from datamodules.simulated.synthesis.syllables import VOWELS, draw_one_syllable, speaker
from datamodules.stimuli import StimulusSet
from datamodules.tasks.task import Task

MODULATION_RATES = (3.0, 6.0, 12.0, 24.0)  # Hz
_VOWEL, _INSTRUMENT, _MODULATION, _FOLDS = 0, 1, 2, 3
# Speakers of the tasks; pretraining speaks with the first 48.
_FIRST_SPEAKER = 1000
_SCATTER = 0.04
# All sounds are equally loud, as are those of the simulated brain.
_RMS = 0.02


def vowel_task(
    n_sounds: int = 480,
    n_speakers: int = 20,
    seconds: float = 0.6,
    snr_db: tuple[float, float] = (-6.0, 6.0),
    sample_rate: int = 24_000,
    seed: int = 0,
    n_folds: int = 5,
    talkers: int = 0,
) -> Task:
    """Which of eight vowels, in a syllable by an unheard speaker in noise.

    Parameters
    ----------
    n_sounds, n_speakers : int
        Every speaker says every vowel equally often, as far as the numbers allow.
    seconds : float
        Length of a sound (s).
    snr_db : tuple of float
        Least and greatest signal-to-noise ratio (dB).
    sample_rate : int
        Hz.
    n_folds : int
        Each fold holds its own speakers.
    talkers : int
        If above 0, as many others speak at once instead of the noise. They say several of the
        eight vowels themselves, about as loud, so that what is asked for is the longest vowel
        rather than the one that is heard.

    Returns
    -------
    Task
    """
    classes = tuple(VOWELS)
    index = torch.arange(n_sounds)
    labels, speakers = index % len(classes), (index // len(classes)) % n_speakers
    said = zip((classes[k] for k in labels), speakers.tolist(), strict=True)
    sources = [
        partial(_vowel, seed, i, vowel, who, seconds, snr_db, sample_rate, talkers)
        for i, (vowel, who) in enumerate(said)
    ]
    among = f"_talkers{talkers}" if talkers else ""
    return Task(
        stimuli=StimulusSet(
            name=f"simulated_vowels_{n_sounds}x{seconds:g}s_seed{seed}{among}",
            ids=[f"sim_vowel_{i:04d}_speaker_{int(speakers[i]):02d}" for i in range(n_sounds)],
            sources=sources,
            rms=_RMS,
        ),
        labels=labels,
        classes=classes,
        folds=speakers % n_folds,
        provenance=PROVENANCE,
    )


def instrument_task(
    n_sounds: int = 480,
    seconds: float = 0.8,
    snr_db: tuple[float, float] = (0.0, 15.0),
    sample_rate: int = 24_000,
    seed: int = 0,
    n_folds: int = 5,
) -> Task:
    """Which of eight instruments plays one to three notes, over three octaves and in noise.

    Parameters are those of :func:`vowel_task`; folds are random and balanced over instruments.
    """
    return _stratified_task(
        "instrument",
        tuple(INSTRUMENTS),
        seconds,
        seed,
        n_folds,
        [
            partial(_instrument, seed, i, tuple(INSTRUMENTS)[i % 8], seconds, snr_db, sample_rate)
            for i in range(n_sounds)
        ],
    )


def modulation_task(
    n_sounds: int = 400,
    seconds: float = 1.0,
    snr_db: tuple[float, float] = (0.0, 15.0),
    sample_rate: int = 24_000,
    seed: int = 0,
    n_folds: int = 5,
) -> Task:
    """At which of four rates a random band of noise is modulated, at random depth and in noise.

    Mean and variance of a spectrogram say nothing of the rate: features must hold time.
    Parameters are those of :func:`vowel_task`; folds are random and balanced over rates.
    """
    classes = tuple(f"{rate:g}_hz" for rate in MODULATION_RATES)
    return _stratified_task(
        "modulation",
        classes,
        seconds,
        seed,
        n_folds,
        [
            partial(_modulation, seed, i, MODULATION_RATES[i % 4], seconds, snr_db, sample_rate)
            for i in range(n_sounds)
        ],
    )


def _stratified_task(
    name: str,
    classes: tuple[str, ...],
    seconds: float,
    seed: int,
    n_folds: int,
    sources: Sequence[Callable[[], tuple[Tensor, int]]],
) -> Task:
    n_sounds = len(sources)
    labels = torch.arange(n_sounds) % len(classes)
    return Task(
        stimuli=StimulusSet(
            name=f"simulated_{name}s_{n_sounds}x{seconds:g}s_seed{seed}",
            ids=[f"sim_{name}_{i:04d}" for i in range(n_sounds)],
            sources=sources,
            rms=_RMS,
        ),
        labels=labels,
        classes=classes,
        folds=balanced_folds(labels.tolist(), n_folds, make_generator(seed, TASK, _FOLDS)),
        provenance=PROVENANCE,
    )


def _in_noise(
    generator: np.random.Generator, signal: Signal, noise: Signal, snr_db: tuple[float, float]
) -> Tensor:
    """Add noise at a random ratio."""
    return torch.from_numpy(add_noise(signal, noise, generator.uniform(*snr_db)))


def _add_coloured_noise(generator: np.random.Generator, samples: int, sample_rate: int) -> Signal:
    """Noise of a random colour between white and f^-1.5."""
    return coloured_noise(generator, samples, sample_rate, generator.uniform(0, 1.5))


def _vowel(
    seed: int,
    index: int,
    vowel: str,
    speaker_index: int,
    seconds: float,
    snr_db: tuple[float, float],
    sample_rate: int,
    talkers: int,
) -> tuple[Tensor, int]:
    generator = make_generator(seed, TASK, _VOWEL, index)
    voice = speaker(_FIRST_SPEAKER + speaker_index)
    syllable = draw_one_syllable(generator, seconds, vowel, _SCATTER)
    signal, _ = render(generator, voice, (syllable,), seconds, sample_rate)
    if talkers == 0:
        noise = _add_coloured_noise(generator, len(signal), sample_rate)
    else:
        others = [speech(generator, seconds, sample_rate)[0] for _ in range(talkers)]
        noise = np.sum(others, axis=0)
    return _in_noise(generator, signal, noise, snr_db), sample_rate


def _instrument(
    seed: int,
    index: int,
    name: str,
    seconds: float,
    snr_db: tuple[float, float],
    sample_rate: int,
) -> tuple[Tensor, int]:
    generator = make_generator(seed, TASK, _INSTRUMENT, index)
    count = int(generator.integers(1, 4))
    pitch = int(generator.integers(48, 85))
    tones = []
    for k in range(count):
        midi = pitch + (0 if k == 0 else int(generator.integers(-5, 6)))
        brightness = generator.uniform(-0.4, 0.4)
        f0 = midi_frequency(midi)
        tones.append(
            note(generator, INSTRUMENTS[name], f0, seconds / count, sample_rate, brightness)
        )
    signal = np.concatenate(tones)
    noise = _add_coloured_noise(generator, len(signal), sample_rate)
    return _in_noise(generator, signal, noise, snr_db), sample_rate


def _modulation(
    seed: int,
    index: int,
    rate: float,
    seconds: float,
    snr_db: tuple[float, float],
    sample_rate: int,
) -> tuple[Tensor, int]:
    generator = make_generator(seed, TASK, _MODULATION, index)
    depth = generator.uniform(0.5, 1)
    signal = modulated_noise(generator, round(seconds * sample_rate), sample_rate, rate, depth)
    noise = _add_coloured_noise(generator, len(signal), sample_rate)
    return _in_noise(generator, signal, noise, snr_db), sample_rate
