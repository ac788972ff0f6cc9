"""Cleaning of EEG across channels: bad ones, reference and scale; options that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import loadmat

from datamodules.brain.eeg.channels import find_bad_channels, to_volts
from datamodules.brain.eeg.cleaning import preprocess
from datamodules.brain.eeg.preprocessing import Preprocessing
from tests.datamodules.recorded_eeg import CHANNELS, PLAIN, clean, eeg, sine
from tests.datamodules.upstream_eeg import gains


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


@pytest.mark.data("brain/cocktail_eeg")
def test_most_channels_of_a_real_cap_are_good(data: Path) -> None:
    values = loadmat(str(data / "brain" / "cocktail_eeg" / "1_1.mat"))["eeg"].T
    info = mne.create_info(mne.channels.make_standard_montage("biosemi128").ch_names, 128, "eeg")
    found = preprocess(
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
    values, rejected = to_volts(np.zeros((10, 3)), np.zeros(10, dtype=bool), Preprocessing())
    assert not values.any()
    assert not rejected.any()


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pass band 0\.5 to 25 Hz.*below 25 Hz, half of the"):
        Preprocessing(low_pass=25)
    with pytest.raises(ValueError, match="phase linear: expected zero or causal"):
        Preprocessing(phase="linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reference cz: expected average or mastoid or none"):
        Preprocessing(reference="cz")  # type: ignore[arg-type]


def test_recordings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="S01, a was sampled at 40 Hz, below the requested 50 Hz"):
        clean(eeg(rate=40.0), rate=40.0)
    with pytest.raises(
        ValueError, match="a has 0 channels of the montage biosemi128: its channels"
    ):
        clean(eeg(), montage="biosemi128")
