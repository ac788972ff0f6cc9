"""Cleaning of EEG: line, aliases, bad channels, reference, scale, time and the cache."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import loadmat

from datamodules.eeg_preprocessing import (
    Preprocessing,
    Recording,
    cut,
    find_bad_channels,
    preprocessed,
    scaled,
)
from tests.datamodules.upstream_eeg import M10, course, gains

RATE = 500.0
PLAIN = Preprocessing(reference="none", zscore=False)
CHANNELS = M10[:11]


def eeg(
    seconds: float = 20.0, rate: float = RATE, channels: tuple[str, ...] = CHANNELS
) -> np.ndarray:
    """Microvolts that follow one smooth course with each channel's own gain."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=(len(channels), len(times)))
    return 10 * gains(len(channels))[:, None] * course(1)(times) + 0.3 * noise


def clean(
    microvolts: np.ndarray,
    options: Preprocessing = PLAIN,
    rate: float = RATE,
    montage: str | None = "easycap-M10",
    **extra: object,
) -> Recording:
    info = mne.create_info(list(CHANNELS), rate, "eeg")
    return preprocessed(
        [],
        lambda: mne.io.RawArray(1e-6 * microvolts, info, verbose="ERROR"),
        options,
        subject="S01",
        recording="a",
        montage=montage,
        **extra,  # type: ignore[arg-type]
    )


def power(recording: Recording, frequency: float) -> float:
    """Amplitude of a sine at a frequency, in the middle of the recording."""
    values = recording.values[100:-100].astype(float)
    times = np.arange(len(values)) / recording.rate
    return float(np.abs(values.T @ np.exp(2j * np.pi * frequency * times)).max() / len(values) * 2)


def sine(frequency: float, amplitude: float = 50.0, seconds: float = 20.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


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


@pytest.mark.parametrize(
    ("change", "index"),
    [
        (lambda x: x[3].fill(7.0), 3),
        (lambda x: x[5].fill(np.nan), 5),
        (lambda x: x.__setitem__(2, 500 * np.random.default_rng(1).normal(size=x.shape[1])), 2),
        (lambda x: x.__setitem__(4, 50 * np.random.default_rng(1).normal(size=x.shape[1])), 4),
        (lambda x: x.__setitem__(6, x[6] * 200), 6),
    ],
    ids=["flat", "nan", "noisy", "unlike", "huge"],
)
def test_a_bad_channel_is_found_and_interpolated(
    change: Callable[[np.ndarray], None], index: int
) -> None:
    values = eeg()
    values *= np.sign(gains(len(CHANNELS)))[:, None]
    good = clean(values)
    assert good.quality["bad_channels"] == []
    assert good.quality["interpolated"] is False
    change(values)
    found = clean(values)
    assert found.quality["bad_channels"] == [CHANNELS[index]]
    assert found.quality["interpolated"] is True
    assert np.isfinite(found.values).all()
    r = np.corrcoef(found.values[200:-200, index], good.values[200:-200, index])[0, 1]
    assert r > 0.9
    others = [k for k in range(len(CHANNELS)) if k != index]
    np.testing.assert_allclose(found.values[:, others], good.values[:, others], atol=1e-3)


def test_bad_channels_without_positions() -> None:
    values = eeg()
    assert clean(values, montage=None).positions is None
    values[3] = 0
    with pytest.raises(ValueError, match="S01, a: 13 cannot be interpolated without electrode pos"):
        clean(values, montage=None)
    options = replace(PLAIN, interpolate=False, reference="average", zscore=True)
    kept = clean(values, options, montage=None)
    assert kept.quality["bad_channels"] == ["13"]
    assert kept.quality["interpolated"] is False
    assert np.isfinite(kept.values).all()


def test_listed_channels_are_bad() -> None:
    assert clean(eeg(), listed_bad=["1", "99"]).quality["bad_channels"] == ["1"]


def test_bad_channels_do_not_hide_each_other() -> None:
    values = np.random.default_rng(0).normal(size=(2000, 1)) * np.ones(30)
    values += 0.1 * np.random.default_rng(1).normal(size=values.shape)
    values[:, 4] *= 1000
    values[:, 9] *= 30
    assert find_bad_channels(values, Preprocessing()) == {4, 9}
    assert find_bad_channels(values * 0, Preprocessing()) == set(range(30))


@pytest.mark.data
def test_most_channels_of_a_real_cap_are_good(data: Path) -> None:
    values = loadmat(str(data / "brain" / "cocktail_eeg" / "1_1.mat"))["eeg"].T
    info = mne.create_info(mne.channels.make_standard_montage("biosemi128").ch_names, 128, "eeg")
    found = preprocessed(
        [],
        lambda: mne.io.RawArray(1e-6 * values, info, verbose="ERROR"),
        Preprocessing(),
        subject="1",
        recording="1_1",
        line=50.0,
        montage="biosemi128",
    )
    bad = found.quality["bad_channels"]
    assert isinstance(bad, list)
    assert len(bad) < 6
    assert float(str(found.quality["rejected_seconds"])) < 1


def test_references() -> None:
    none = clean(eeg()).values
    average = clean(eeg(), replace(PLAIN, reference="average")).values
    np.testing.assert_allclose(average, none - none.mean(1, keepdims=True), atol=1e-3)
    mastoid = replace(PLAIN, reference="mastoid")
    linked = clean(eeg(), mastoid, mastoids=("1", "5")).values
    np.testing.assert_allclose(linked, none - none[:, :2].mean(1, keepdims=True), atol=1e-3)
    online = clean(eeg(), mastoid, mastoids=("1", "x"), implicit="x").values
    np.testing.assert_allclose(online, none - none[:, [0]] / 2, atol=1e-3)
    with pytest.raises(ValueError, match="S01, a has no mastoid channels x: use reference=average"):
        clean(eeg(), mastoid, mastoids=("1", "x"))


def test_recordings_are_scaled_and_huge_spans_rejected() -> None:
    values = eeg()
    plain = clean(values, Preprocessing())
    np.testing.assert_allclose(plain.values.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(plain.values.std(0), 1, atol=1e-3)
    assert plain.quality["rejected_seconds"] == 0
    values[:, 5000:5250] += 500 * sine(4)[5000:5250] / 50 * gains(len(CHANNELS), 3)[:, None]
    struck = clean(values, Preprocessing())
    assert 0.3 < float(str(struck.quality["rejected_seconds"])) < 3
    assert np.abs(struck.values).max() <= 10
    far = np.r_[50:350, 700:950]
    ratio = struck.values[far].std(0) / plain.values[far].std(0)
    assert (ratio > 0.7).all()


def test_missing_samples_are_rejected() -> None:
    values = eeg()
    values[:, 1000:1500] = np.nan
    found = clean(values, Preprocessing())
    assert np.isfinite(found.values).all()
    assert found.quality["rejected_seconds"] == pytest.approx(1, abs=0.05)
    assert found.quality["bad_channels"] == []


def test_a_silent_recording_scales_to_zero() -> None:
    values, rejected = scaled(np.zeros((10, 3)), np.zeros(10, dtype=bool), Preprocessing())
    assert not values.any()
    assert not rejected.any()


# ---- cache ---------------------------------------------------------------------------------------


class Source:
    """A file, and how often it was read."""

    def __init__(self, folder: Path) -> None:
        self.path, self.count = folder / "a.bin", 0
        self.path.write_bytes(b"1")

    def read(self) -> mne.io.RawArray:
        self.count += 1
        info = mne.create_info(list(CHANNELS), RATE, "eeg")
        return mne.io.RawArray(1e-6 * eeg(8.0), info, verbose="ERROR")

    def __call__(self, folder: Path, options: Preprocessing = PLAIN, **extra: object) -> Recording:
        arguments: dict[str, object] = {"montage": "easycap-M10", "cache": folder, **extra}
        return preprocessed(
            [self.path],
            self.read,
            options,
            subject="S01",
            recording="a",
            **arguments,  # type: ignore[arg-type]
        )


def test_a_hit_equals_a_miss(tmp_path: Path) -> None:
    source, folder = Source(tmp_path), tmp_path / "cache"
    first, second = source(folder), source(folder)
    assert source.count == 1
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.positions, second.positions)
    assert second.values.dtype == np.float32
    assert (first.channels, first.rate, first.quality) == (
        second.channels,
        second.rate,
        second.quality,
    )
    assert [path.suffix for path in folder.iterdir()] == [".npz"]


def test_whatever_changes_the_result_misses(tmp_path: Path) -> None:
    source, folder = Source(tmp_path), tmp_path / "cache"
    source(folder)
    source(folder, replace(PLAIN, high_pass=1.0))
    source(folder, line=60.0)
    source(folder, listed_bad=["1"])
    source(folder, montage=None)
    assert source.count == 5
    source.path.write_bytes(b"2")
    source(folder)
    assert source.count == 6
    source.path.rename(tmp_path / "b.bin")
    source.path = tmp_path / "b.bin"
    source(folder)
    assert source.count == 6


def test_a_broken_file_of_the_cache_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, folder = Source(tmp_path), tmp_path / "cache"
    source(folder)
    kept = next(folder.iterdir())
    kept.write_bytes(kept.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        source(folder)
    assert source.count == 2
    assert "cannot be read and is made anew" in caplog.text
    np.savez(kept, values=np.array([{}], dtype=object))
    source(folder)
    assert source.count == 3


# ---- cutting -------------------------------------------------------------------------------------


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


# ---- errors --------------------------------------------------------------------------------------


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pass band 0\.5 to 25 Hz.*below 25 Hz, half of the"):
        Preprocessing(low_pass=25)
    with pytest.raises(ValueError, match="phase linear: expected zero or causal"):
        Preprocessing(phase="linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reference cz: expected average or mastoid or none"):
        Preprocessing(reference="cz")  # type: ignore[arg-type]


def test_recordings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="S01, a was sampled at 40 Hz, below the 50 Hz asked"):
        clean(eeg(rate=40.0), rate=40.0)
    with pytest.raises(
        ValueError, match="a has 0 channels of the montage biosemi128: its channels"
    ):
        clean(eeg(), montage="biosemi128")
