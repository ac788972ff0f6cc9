"""Clean recordings on disk: equal to new ones, and never those of other files or options."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest

from datamodules.brain.eeg.cleaning import preprocess
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording
from tests.datamodules.recorded_eeg import CHANNELS, PLAIN, RATE, eeg


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
        return preprocess(
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
    assert "computing it again" in caplog.text
    np.savez(kept, values=np.array([{}], dtype=object))
    source(folder)
    assert source.count == 3
