"""Speech-like sounds: random syllables by one of a population of speakers."""

from __future__ import annotations

import numpy as np

from datamodules.synthesis.formants import render
from datamodules.synthesis.sound import Labels, Signal, add_noise, coloured_noise, rove_level
from datamodules.synthesis.syllables import draw_syllables, speaker

N_SPEAKERS = 48


def speech(
    generator: np.random.Generator, seconds: float, sample_rate: int
) -> tuple[Signal, Labels]:
    """Random syllables by one of ``N_SPEAKERS`` speakers, over a faint noise floor."""
    voice = speaker(int(generator.integers(N_SPEAKERS)))
    syllables = draw_syllables(generator, seconds, voice.rate)
    signal, f0 = render(generator, voice, syllables, seconds, sample_rate)
    floor = coloured_noise(generator, len(signal), sample_rate, slope=1.0)
    signal = rove_level(generator, add_noise(signal, floor, generator.uniform(25, 50)))
    events = tuple(s.vowel for s in syllables if s.onset + s.consonant_seconds < seconds)
    register = "low_voice" if voice.f0 < 145 else "high_voice"
    return signal, Labels("speech", register, voice.name, f0, voice.rate, events)
