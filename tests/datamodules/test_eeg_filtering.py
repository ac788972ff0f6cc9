"""EEG along time: line, aliases, drifts, causal filters, and cuts between samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from datamodules.brain.eeg.recording import Recording, cut
from tests.datamodules.recorded_eeg import CHANNELS, PLAIN, clean, eeg, sine
from tests.datamodules.upstream_eeg import course, gains


def power(recording: Recording, frequency: float) -> float:
    """Amplitude of a sine at a frequency, in the middle of the recording."""
    values = recording.values[100:-100].astype(float)
    times = np.arange(len(values)) / recording.rate
    return float(np.abs(values.T @ np.exp(2j * np.pi * frequency * times)).max() / len(values) * 2)


@pytest.mark.parametrize("line", [50.0, 60.0])
def test_the_line_is_removed(line: float) -> None:
    wide = replace(PLAIN, rate=250, low_pass=100)
    noisy = eeg() + sine(line)
    assert power(clean(noisy, wide), line) > 40
    assert power(clean(noisy, wide, line=line), line) < 0.5
    assert power(clean(noisy, replace(wide, line=line), line=30.0), line) < 0.5


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("frequency", [27.0, 32.0, 45.0, 55.0, 97.0])
def test_nothing_aliases(phase: str, frequency: float) -> None:
    options = replace(PLAIN, phase=phase)
    alias = abs(frequency - 50 * round(frequency / 50))
    without = power(clean(eeg(), options), alias)
    assert power(clean(eeg() + sine(frequency), options), alias) < without + 0.3


@pytest.mark.parametrize("rate", [500.0, 512.0, 250.0, 128.0, 50.0])
def test_time_stays_where_it_was(rate: float) -> None:
    """Also with a number of samples that does not divide: no stretch, no shift."""
    times = np.arange(round(60.33 * rate)) / rate
    values = eeg(60.33, rate)
    recording = clean(values, rate=rate)
    assert len(recording.values) == len(times) * 50 // round(rate)
    kept = slice(200, -200)
    planted = course(1)(np.arange(len(recording.values)) / 50)
    for k in range(len(CHANNELS)):
        r = np.corrcoef(planted[kept], recording.values[kept, k])[0, 1]
        assert abs(r) > 0.995


def test_slow_drifts_are_removed() -> None:
    drift = 1e4 + 300 * np.linspace(-1, 1, 10000)
    np.testing.assert_allclose(
        clean(eeg() + drift).values[200:-200], clean(eeg()).values[200:-200], atol=1.0
    )


@pytest.mark.parametrize(("rate", "leak"), [(500.0, 0.01), (512.0, 1.0)])
def test_causal_filters_do_not_look_ahead(rate: float, leak: float) -> None:
    """What comes after 10 s does not change what was before; 512 to 50 Hz leaks a little."""
    one, other = eeg(rate=rate), eeg(rate=rate)
    other[:, round(10 * rate) :] += 100 * np.sign(gains(len(CHANNELS)))[:, None]
    leaks = {}
    for phase in ("zero", "causal"):
        options = replace(PLAIN, phase=phase)
        a, b = clean(one, options, rate).values, clean(other, options, rate).values
        leaks[phase] = np.abs(a - b)[:499].max()
        assert np.abs(a - b)[500:].max() > 20
    assert leaks["zero"] > 10
    assert leaks["causal"] < leak


def test_causal_filters_delay_by_less_than_a_tenth_of_a_second() -> None:
    recording = clean(eeg(), replace(PLAIN, phase="causal"))
    times = np.arange(200, 800) / 50
    strongest = recording.values[200:800, recording.values.std(0).argmax()]
    delays = np.arange(10) / 50
    r = [abs(np.corrcoef(strongest, course(1)(times - delay))[0, 1]) for delay in delays]
    assert max(r) > 0.95
    assert 0 < delays[int(np.argmax(r))] <= 0.1


def wave(times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 7 * times)


def recorded(seconds: float = 10.0, rate: float = 50.0) -> Recording:
    times = np.arange(round(seconds * rate)) / rate
    return Recording(wave(times)[:, None].astype("f4"), ("1",), rate, None, {})


def test_cuts_are_taken_between_samples() -> None:
    start = 2.0137
    found = cut(recorded(), start, 100)
    np.testing.assert_allclose(found[:, 0], wave(start + np.arange(100) / 50), atol=2e-3)
    nearest = cut(recorded(), start, 100, exact=False)
    np.testing.assert_allclose(nearest[:, 0], recorded().values[101:201, 0], atol=1e-6)
    np.testing.assert_allclose(cut(recorded(), 2.02, 100), recorded().values[101:201], atol=1e-6)


def test_cuts_beyond_the_recording_are_refused() -> None:
    assert cut(recorded(), 0.0, 500).shape == (500, 1)
    with pytest.raises(ValueError, match=r"begins 0\.30 s before the recording"):
        cut(recorded(), -0.3, 100)
    with pytest.raises(ValueError, match=r"ends 0\.50 s after the recording"):
        cut(recorded(), 8.5, 100)
