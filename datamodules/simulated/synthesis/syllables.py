"""Who speaks and what is said: voices, vowels and random sequences of syllables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.simulated.synthesis.sound import log_uniform, make_generator

# Mean formants of men (Hz), Peterson & Barney 1952, table II; the fourth is set by hand.
VOWELS: dict[str, tuple[float, float, float, float]] = {
    "iy": (270, 2290, 3010, 3600),
    "ih": (390, 1990, 2550, 3500),
    "eh": (530, 1840, 2480, 3500),
    "ae": (660, 1720, 2410, 3500),
    "aa": (730, 1090, 2440, 3400),
    "ao": (570, 840, 2410, 3300),
    "uw": (300, 870, 2240, 3300),
    "er": (490, 1350, 1690, 3300),
}
# Centre of the frication noise (Hz) and its level against a vowel.
FRICATIVES = {"s": (6500.0, 0.5), "sh": (3300.0, 0.6), "f": (8000.0, 0.15), "h": (1500.0, 0.15)}
NASAL = (250, 1150, 2200, 3300)
CONSONANTS = ("s", "sh", "f", "h", "plosive", "plosive", "nasal", "none")
PAUSE = 0.15
"""Shortest silence between phrases (s)."""
_SPEAKER_STREAM = 48_611


@dataclass(frozen=True)
class Speaker:
    """A voice: mean F0 (Hz), formant scale, spectral tilt (dB/octave), breathiness, rate (Hz).

    ``intonation`` multiplies all movements of the pitch (semitones).
    """

    name: str
    f0: float
    tract: float
    tilt: float
    breath: float
    rate: float
    intonation: float = 1.0


@dataclass(frozen=True)
class Syllable:
    """A consonant and a vowel.

    Parameters
    ----------
    onset, consonant_seconds, vowel_seconds : float
        Seconds.
    stress : float
        From -1 to 1: level by 4 dB and pitch by two semitones either way.
    scatter : float
        Relative standard deviation of the formants about the vowel's targets.
    """

    onset: float
    consonant: str
    consonant_seconds: float
    vowel: str
    vowel_seconds: float
    stress: float
    scatter: float = 0.03


def speaker(index: int) -> Speaker:
    """Speaker ``index`` of an unlimited population; the same in every run."""
    generator = make_generator(_SPEAKER_STREAM, index)
    f0 = log_uniform(generator, 85, 250)
    # Small larynges sit on short tracts, loosely.
    tract = 1.0 + 0.16 * np.log2(f0 / 110) + generator.uniform(-0.06, 0.06)
    return Speaker(
        name=f"speaker_{index:03d}",
        f0=f0,
        tract=float(tract),
        tilt=float(generator.uniform(-7, -2)),
        breath=float(generator.uniform(0.01, 0.08)),
        rate=float(generator.uniform(3.2, 5.8)),
    )


def draw_syllables(
    generator: np.random.Generator, seconds: float, rate: float
) -> tuple[Syllable, ...]:
    """Phrases of three to eight syllables at ``rate`` Hz, with pauses between them."""
    syllables = []
    names = tuple(VOWELS)
    time = generator.uniform(0.0, min(0.2, seconds / 8))
    remaining = int(generator.integers(3, 9))
    while time < seconds:
        duration = float(np.clip(generator.normal(1.0, 0.2), 0.6, 1.6)) / rate
        share = generator.uniform(0.25, 0.45)
        syllables.append(
            Syllable(
                onset=time,
                consonant=CONSONANTS[generator.integers(len(CONSONANTS))],
                consonant_seconds=share * duration,
                vowel=names[generator.integers(len(names))],
                vowel_seconds=(0.92 - share) * duration,
                stress=float(generator.uniform(-1, 1)),
            )
        )
        time += duration
        remaining -= 1
        if remaining == 0:
            time += generator.uniform(PAUSE, 0.5)
            remaining = int(generator.integers(3, 9))
    return tuple(syllables)


def draw_words(
    generator: np.random.Generator, syllables: Sequence[Syllable]
) -> tuple[tuple[Syllable, ...], ...]:
    """Words of one to three syllables, none of them over a pause."""
    words: list[tuple[Syllable, ...]] = []
    room, end = 0, 0.0
    for syllable in syllables:
        if room == 0 or syllable.onset - end > PAUSE / 2:
            words.append(())
            room = int(generator.integers(1, 4))
        words[-1] += (syllable,)
        room -= 1
        end = syllable.onset + syllable.consonant_seconds + syllable.vowel_seconds
    return tuple(words)


def draw_one_syllable(
    generator: np.random.Generator, seconds: float, vowel: str, scatter: float
) -> Syllable:
    """A single syllable with a given vowel that fills most of ``seconds``."""
    onset = generator.uniform(0.02, 0.2) * seconds
    consonant_seconds = generator.uniform(0.1, 0.25) * seconds
    longest = 0.95 * seconds - onset - consonant_seconds
    return Syllable(
        onset=onset,
        consonant=CONSONANTS[generator.integers(len(CONSONANTS))],
        consonant_seconds=consonant_seconds,
        vowel=vowel,
        vowel_seconds=generator.uniform(0.6, 1.0) * longest,
        stress=float(generator.uniform(-1, 1)),
        scatter=scatter,
    )
