"""Speech-like sounds: random syllables by one of a population of speakers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datamodules.simulated.synthesis.formants import render
from datamodules.simulated.synthesis.sound import (
    Labels,
    Signal,
    add_noise,
    coloured_noise,
    rove_level,
)
from datamodules.simulated.synthesis.syllables import Speaker, Syllable, draw_syllables, speaker

N_SPEAKERS = 48


def speech(
    generator: np.random.Generator,
    seconds: float,
    sample_rate: int,
    intonation: float = 1.0,
    tilt: float = 0.0,
) -> tuple[Signal, Labels]:
    """Random syllables by one of ``N_SPEAKERS`` speakers, over a faint noise floor.

    Parameters
    ----------
    intonation : float
        Multiplies all movements of the pitch: below 1 is monotonous.
    tilt : float
        Added to the speaker's spectral tilt (dB/octave): above 0 is bright, below is dark.
    """
    voice, syllables = utterance(generator, seconds)
    voice = replace(voice, intonation=intonation, tilt=voice.tilt + tilt)
    signal, f0 = render(generator, voice, syllables, seconds, sample_rate)
    floor = coloured_noise(generator, len(signal), sample_rate, slope=1.0)
    signal = rove_level(generator, add_noise(signal, floor, generator.uniform(25, 50)))
    events = tuple(s.vowel for s in syllables if s.onset + s.consonant_seconds < seconds)
    register = "low_voice" if voice.f0 < 145 else "high_voice"
    return signal, Labels("speech", register, voice.name, f0, voice.rate, events)


def utterance(
    generator: np.random.Generator, seconds: float
) -> tuple[Speaker, tuple[Syllable, ...]]:
    """Who says what in :func:`speech` of an equal generator; no sound is made."""
    voice = speaker(int(generator.integers(N_SPEAKERS)))
    return voice, draw_syllables(generator, seconds, voice.rate)
