"""Lengths without decoding, and digests that follow content alone."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from datamodules.sound_files import (
    content_digest,
    content_digests,
    counted_samples,
    resampled_length,
)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("new_rate", [16_000, 20_000, 24_000])
def test_resampled_length_is_torchaudios(rate: int, new_rate: int) -> None:
    for samples in (1, 2, 3, 7, 147, 160, 441, 1000, 4411, 13_229):
        made = resample(torch.zeros(samples), rate, new_rate)
        assert resampled_length(samples, rate, new_rate) == len(made)


@pytest.mark.long
@pytest.mark.parametrize("samples", [2**24 + 1, 2**24 + 3, 3 * 2**23 + 5])
def test_single_precision_of_long_sounds_is_followed(samples: int) -> None:
    # One sample a second makes torchaudio's own arithmetic cheap enough to run.
    made = resample(torch.zeros(samples), 2, 1)
    assert resampled_length(samples, 2, 1) == len(made)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff"])
@pytest.mark.parametrize("samples", [1, 10, 12_345])
def test_headers_count_what_is_decoded(tmp_path: Path, suffix: str, samples: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.zeros((samples, 2)), 22_050)
    assert counted_samples(path) == (samples, 22_050)
    assert len(soundfile.read(path)[0]) == samples


def test_a_header_that_only_estimates_is_not_trusted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.zeros(5000), 44_100)
    assert counted_samples(tmp_path / "a.mp3") is None


def test_digests_follow_content_not_times(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"sound")
    first = content_digest(path)
    os.utime(path, (0, 0))
    assert content_digest(path) == first
    path.write_bytes(b"noise")
    assert content_digest(path) != first
    path.write_bytes(b"sound")
    assert content_digest(path) == first


def test_digests_of_many_files_are_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / str(i) for i in range(50)]
    for path in paths:
        path.write_bytes(path.name.encode())
    assert list(content_digests(paths)) == [sha256(p.name.encode()).digest() for p in paths]
    paths[3].unlink()
    with pytest.raises(FileNotFoundError, match=str(paths[3])):
        list(content_digests(paths))


def test_a_file_is_read_once_for_all_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"sound")
    first = content_digest(path)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert content_digest(path) == first
