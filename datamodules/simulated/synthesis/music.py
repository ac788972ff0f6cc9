"""Music-like sounds: melodies and chords in a key, played by wavetable instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft

from datamodules.simulated.synthesis.sound import (
    Labels,
    Signal,
    add_noise,
    coloured_noise,
    log_uniform,
    rms,
    rove_level,
)


@dataclass(frozen=True)
class Instrument:
    """A timbre.

    Parameters
    ----------
    slope : float
        Harmonic k has amplitude k^-slope before body and comb.
    body : tuple of float
        Centres of fixed resonances (Hz).
    harmonics : tuple of int
        The harmonics present; empty means all.
    even : float
        Gain of even harmonics.
    attack, decay : float
        Rise time and decay constant (s); an infinite decay sustains.
    vibrato : float
        Depth in semitones.
    breath : float
        Level of noise against the tone.
    """

    slope: float
    body: tuple[float, ...] = ()
    harmonics: tuple[int, ...] = ()
    even: float = 1.0
    attack: float = 0.02
    decay: float = np.inf
    vibrato: float = 0.0
    breath: float = 0.0


INSTRUMENTS: dict[str, Instrument] = {
    "flute": Instrument(2.0, attack=0.06, vibrato=0.2, breath=0.12),
    "clarinet": Instrument(1.0, even=0.08, attack=0.04, breath=0.02),
    "violin": Instrument(1.0, body=(550, 2700), attack=0.08, vibrato=0.3),
    "trumpet": Instrument(0.7, body=(1300,), attack=0.03, breath=0.01),
    "organ": Instrument(0.6, harmonics=(1, 2, 3, 4, 6, 8), attack=0.02),
    "piano": Instrument(1.3, attack=0.004, decay=0.7),
    "guitar": Instrument(1.0, body=(220,), even=0.6, attack=0.003, decay=0.35),
    "marimba": Instrument(0.9, harmonics=(1, 4, 10), attack=0.002, decay=0.15),
}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
TEXTURES = ("melody", "chords", "accompanied", "rhythmic")
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_TABLE = 4096


def midi_frequency(midi: float) -> float:
    """Equal temperament: 440 * 2^((midi - 69) / 12) Hz."""
    return 440.0 * 2.0 ** ((midi - 69) / 12)


def note_name(midi: int) -> str:
    """Scientific pitch name; 69 is A4."""
    return f"{_NAMES[midi % 12]}{midi // 12 - 1}"


def note(
    generator: np.random.Generator,
    instrument: Instrument,
    f0: float,
    seconds: float,
    sample_rate: int,
    brightness: float = 0.0,
) -> Signal:
    """One note of shape (samples,) at about unit RMS.

    Parameters
    ----------
    f0 : float
        Fundamental frequency (Hz).
    brightness : float
        Subtracted from the instrument's slope: how hard it is blown, bowed or struck.
    """
    samples = max(round(seconds * sample_rate), 1)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    phase = np.float32(f0) * time
    if instrument.vibrato:
        rate = generator.uniform(4.5, 6.5)
        depth = f0 * instrument.vibrato * np.log(2) / 12 / (2 * np.pi * rate)
        phase = phase + np.float32(depth) * np.sin(np.float32(2 * np.pi * rate) * time)
    index = (phase * np.float32(_TABLE)).astype(np.int32) & (_TABLE - 1)
    tone = _wavetable(generator, instrument, f0, sample_rate, brightness)[index]
    if instrument.breath:
        low, high = 0.8 * f0, min(8 * f0, 0.45 * sample_rate)
        tone = tone + np.float32(instrument.breath) * coloured_noise(
            generator, samples, sample_rate, 0.5, low, high
        )
    release = min(0.05, seconds / 4)
    envelope = np.minimum(time / np.float32(instrument.attack), 1)
    envelope *= np.minimum((np.float32(seconds) - time) / np.float32(release), 1).clip(0)
    if np.isfinite(instrument.decay):
        # High strings and bars ring for less time.
        decay = instrument.decay * (220 / f0) ** 0.4
        envelope *= np.exp(time * np.float32(-1 / decay))
    return np.asarray(tone * envelope, dtype=np.float32)


def _wavetable(
    generator: np.random.Generator,
    instrument: Instrument,
    f0: float,
    sample_rate: int,
    brightness: float,
) -> Signal:
    """One period of shape (4096,), band-limited to 0.45 of the sample rate, at unit RMS."""
    number = np.arange(1, max(2, min(64, int(0.45 * sample_rate / f0)) + 1))
    amplitude = number ** -(instrument.slope - brightness)
    amplitude[1::2] *= instrument.even
    if instrument.harmonics:
        amplitude *= np.isin(number, instrument.harmonics)
    if instrument.body:
        octaves = np.log2(number[:, None] * f0 / np.array(instrument.body))
        amplitude *= 0.15 + np.exp(-0.5 * (octaves / 0.5) ** 2).sum(1)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex64)
    spectrum[number] = amplitude * np.exp(2j * np.pi * generator.random(len(number)))
    table = irfft(spectrum, _TABLE)
    return np.asarray(table / (rms(table) + 1e-9), dtype=np.float32)


def music(
    generator: np.random.Generator, seconds: float, sample_rate: int
) -> tuple[Signal, Labels]:
    """A phrase in one key by one instrument, perhaps with chords or percussion under it."""
    texture = TEXTURES[generator.integers(len(TEXTURES))]
    name = tuple(INSTRUMENTS)[generator.integers(len(INSTRUMENTS))]
    scale = tuple(SCALES.values())[generator.integers(len(SCALES))]
    tonic = int(generator.integers(45, 64))
    beat = 60 / log_uniform(generator, 75, 160)
    signal = np.zeros(round(seconds * sample_rate), dtype=np.float32)
    melody: list[int] = []
    onsets: list[float] = []
    if texture != "chords":
        for onset, duration, midi in _melody(generator, seconds, beat, tonic + 12, scale):
            _place(generator, signal, onset, duration, (midi,), name, sample_rate, 1.0)
            melody.append(midi)
            onsets.append(onset)
    if texture in ("chords", "accompanied"):
        level = 1.0 if texture == "chords" else 0.4
        player = (
            name if texture == "chords" else str(generator.choice(("organ", "piano", "guitar")))
        )
        for onset in np.arange(0, seconds, 2 * beat):
            degree = int(generator.choice((0, 3, 4, 5))) % len(scale)
            chord = tuple(_pitch(tonic, scale, degree + step) for step in (0, 2, 4))
            _place(generator, signal, onset, 2 * beat, chord, player, sample_rate, level)
            if texture == "chords":
                melody.append(chord[-1])
                onsets.append(float(onset))
    if texture == "rhythmic":
        _percussion(generator, signal, beat, sample_rate)
    floor = coloured_noise(generator, len(signal), sample_rate, slope=1.0)
    signal = rove_level(generator, add_noise(signal, floor, generator.uniform(25, 50)))
    labels = Labels(
        family="music",
        subclass=texture,
        source=name,
        f0=midi_frequency(float(np.median(melody))),
        rate=len(onsets) / seconds,
        events=tuple(note_name(midi) for midi in melody),
    )
    return signal, labels


def _pitch(tonic: int, scale: tuple[int, ...], degree: int) -> int:
    octave, step = divmod(degree, len(scale))
    return tonic + 12 * octave + scale[step]


def _melody(
    generator: np.random.Generator, seconds: float, beat: float, tonic: int, scale: tuple[int, ...]
) -> list[tuple[float, float, int]]:
    """Onset (s), duration (s) and midi number of notes that walk over the scale."""
    notes = []
    time, degree = 0.0, int(generator.integers(0, len(scale)))
    while time < seconds:
        length = beat * float(generator.choice((0.5, 0.5, 1.0, 1.0, 2.0)))
        notes.append((time, 0.95 * length, _pitch(tonic, scale, degree)))
        degree = int(np.clip(degree + generator.choice((-2, -1, -1, 0, 1, 1, 2, 4)), -4, 9))
        time += length
    return notes


def _place(
    generator: np.random.Generator,
    signal: Signal,
    onset: float,
    seconds: float,
    chord: tuple[int, ...],
    name: str,
    sample_rate: int,
    level: float,
) -> None:
    """Add the notes of ``chord`` to ``signal`` in place."""
    start = round(onset * sample_rate)
    gain = np.float32(level * 10 ** (generator.uniform(-3, 3) / 20))
    brightness = generator.uniform(-0.2, 0.2)
    for midi in chord:
        f0 = midi_frequency(midi)
        tone = note(generator, INSTRUMENTS[name], f0, seconds, sample_rate, brightness)
        part = signal[start : start + len(tone)]
        part += gain * tone[: len(part)]


def _percussion(
    generator: np.random.Generator, signal: Signal, beat: float, sample_rate: int
) -> None:
    """Add a drum on every beat and a brighter tick between, in place."""
    length = round(0.15 * sample_rate)
    decay = np.exp(-np.arange(length, dtype=np.float32) / np.float32(0.03 * sample_rate))
    drum = 3 * decay * coloured_noise(generator, length, sample_rate, 1.0, 60, 800)
    tick = 1.5 * decay**2 * coloured_noise(generator, length, sample_rate, 0.0, 5000)
    half = beat * sample_rate / 2
    for k in range(int(len(signal) / half)):
        hit = drum if k % 2 == 0 else tick
        part = signal[round(k * half) : round(k * half) + length]
        part += hit[: len(part)]
