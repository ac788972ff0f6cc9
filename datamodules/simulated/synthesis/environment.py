"""Environmental sounds: textures, modulated noise, impacts, sweeps, rain and engines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from datamodules.simulated.synthesis.sound import (
    Labels,
    Signal,
    add_noise,
    coloured_noise,
    log_uniform,
    rove_level,
)

Recipe = Callable[[np.random.Generator, int, int], tuple[Signal, float, float | None]]


def environment(
    generator: np.random.Generator, seconds: float, sample_rate: int
) -> tuple[Signal, Labels]:
    """One of ``RECIPES``, over a faint noise floor."""
    names = tuple(RECIPES)
    name = names[generator.integers(len(names))]
    samples = round(seconds * sample_rate)
    signal, rate, f0 = RECIPES[name](generator, samples, sample_rate)
    if name not in ("texture", "modulated"):
        floor = coloured_noise(generator, samples, sample_rate, slope=1.0)
        signal = add_noise(signal, floor, generator.uniform(20, 45))
    return rove_level(generator, signal), Labels("environment", name, name, f0, rate)


def modulated_noise(
    generator: np.random.Generator, samples: int, sample_rate: int, rate: float, depth: float
) -> Signal:
    """Band of noise n with envelope (1 + depth * sin(2 pi rate t + phase))^2.

    Parameters
    ----------
    rate : float
        Modulation rate (Hz).
    depth : float
        Between 0 and 1.

    Returns
    -------
    array of shape (samples,), float32
    """
    low = log_uniform(generator, 100, 2500)
    high = low * log_uniform(generator, 1.5, 8)
    band = coloured_noise(generator, samples, sample_rate, generator.uniform(0, 1.5), low, high)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    phase = np.float32(generator.uniform(0, 2 * np.pi))
    envelope = 1 + np.float32(depth) * np.sin(np.float32(2 * np.pi * rate) * time + phase)
    return band * envelope * envelope


def _phase(frequency: Signal, sample_rate: int) -> Signal:
    """Running phase (rad) of an instantaneous frequency (Hz), wrapped to one turn."""
    # Summed in float64: in float32 the phase would wander after some ten thousand samples.
    turns = np.cumsum(frequency, dtype=np.float64) / sample_rate
    return np.asarray(turns - np.floor(turns), dtype=np.float32) * np.float32(2 * np.pi)


def _texture(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, None]:
    """Wind and water: 1/f noise with slow random swells."""
    low = log_uniform(generator, 20, 800)
    high = log_uniform(generator, 2000, 12_000)
    noise = coloured_noise(generator, samples, sample_rate, generator.uniform(0, 2), low, high)
    knots = max(int(samples / sample_rate * generator.uniform(0.5, 3)), 1) + 2
    swell = np.exp(generator.uniform(0, 0.7) * generator.standard_normal(knots))
    at = np.linspace(0, knots - 1, samples, dtype=np.float32)
    return noise * np.interp(at, np.arange(knots), swell).astype(np.float32), 0.0, None


def _modulate(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, None]:
    """Machines and insects: noise that pulses at one rate."""
    rate = log_uniform(generator, 1, 25)
    depth = generator.uniform(0.4, 1)
    return modulated_noise(generator, samples, sample_rate, rate, depth), rate, None


def _struck(generator: np.random.Generator, sample_rate: int, longest: float) -> Signal:
    """Impulse response of a struck object: sum over modes of a sin(2 pi f t) exp(-t / tau)."""
    time = np.arange(round(2.5 * longest * sample_rate), dtype=np.float32) / np.float32(sample_rate)
    base = log_uniform(generator, 120, 1500)
    response = np.zeros_like(time)
    for _ in range(int(generator.integers(3, 8))):
        frequency = min(base * log_uniform(generator, 1, 9), 0.45 * sample_rate)
        decay = longest * generator.uniform(0.2, 1) * (base / frequency) ** 0.5
        tone = np.sin(np.float32(2 * np.pi * frequency) * time)
        response += np.float32(generator.uniform(0.2, 1)) * tone * np.exp(time * (-1 / decay))
    return response.astype(np.float32)


def _impacts(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, None]:
    """Knocks and footsteps: one object struck again and again, more or less regularly."""
    longest = log_uniform(generator, 0.06, 0.4)
    response = _struck(generator, sample_rate, longest)
    rate = log_uniform(generator, 1.5, 7)
    irregularity = generator.uniform(0, 0.4)
    signal = np.zeros(samples, dtype=np.float32)
    time = generator.uniform(0, 0.3) * min(1 / rate, 0.5)
    while (start := round(time * sample_rate)) < samples:
        part = signal[start : start + len(response)]
        part += np.float32(np.exp(0.4 * generator.standard_normal())) * response[: len(part)]
        time += max(1 + irregularity * generator.standard_normal(), 0.3) / rate
    return signal, rate, None


def _sweeps(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, float]:
    """Birds and sirens: a tone that glides, over and over."""
    rate = log_uniform(generator, 0.6, 8)
    middle = log_uniform(generator, 500, 3500)
    octaves = generator.uniform(0.3, 1.5) * generator.choice((-1, 1))
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    cycle = time * np.float32(rate) + np.float32(generator.random())
    cycle -= np.floor(cycle)
    there_and_back = generator.random() < 0.5
    glide = np.abs(2 * cycle - 1) if there_and_back else cycle
    frequency = middle * np.exp(np.float32(octaves * np.log(2)) * (glide - np.float32(0.5)))
    tone = np.sin(_phase(np.minimum(frequency, 0.45 * sample_rate), sample_rate))
    # sin^2 x = (1 - cos 2x) / 2: squaring adds the octave.
    tone = tone + np.float32(generator.uniform(0, 0.5)) * (tone * tone - np.float32(0.5))
    gap = generator.uniform(0.3, 0.95)
    envelope = np.sqrt(np.sin(np.float32(3.14159) * np.minimum(cycle * np.float32(1 / gap), 1)))
    if there_and_back and generator.random() < 0.5:
        envelope = np.ones_like(tone)
    return tone * envelope, rate, middle


def _rain(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, None]:
    """Rain and crackle: drops at random times, with log-normal strengths, on one surface."""
    rate = log_uniform(generator, 25, 600)
    count = max(int(generator.poisson(rate * samples / sample_rate)), 1)
    drops = np.zeros(samples, dtype=np.float32)
    strengths = np.exp(0.5 * generator.standard_normal(count)) * generator.choice((-1, 1), count)
    np.add.at(drops, generator.integers(0, samples, count), strengths.astype(np.float32))
    surface = _struck(generator, sample_rate, log_uniform(generator, 0.004, 0.03))
    length = next_fast_len(samples + len(surface), real=True)
    return irfft(rfft(drops, length) * rfft(surface, length), length)[:samples], rate, None


def _engine(
    generator: np.random.Generator, samples: int, sample_rate: int
) -> tuple[Signal, float, float]:
    """Motors: a rough low buzz whose speed drifts, in noise."""
    f0 = log_uniform(generator, 25, 140)
    drift = generator.uniform(-0.3, 0.3) * np.linspace(-0.5, 0.5, samples, dtype=np.float32)
    sharpness = np.float32(generator.uniform(5, 60))
    buzz = np.exp(sharpness * (np.cos(_phase(f0 * (1 + drift), sample_rate)) - 1))
    buzz = np.diff(buzz, prepend=buzz[:1])
    noise = coloured_noise(generator, samples, sample_rate, 1.0, 50, 4000)
    signal = add_noise(buzz, noise, generator.uniform(0, 15))
    return signal, 0.0, f0


RECIPES: dict[str, Recipe] = {
    "texture": _texture,
    "modulated": _modulate,
    "impacts": _impacts,
    "sweeps": _sweeps,
    "rain": _rain,
    "engine": _engine,
}
