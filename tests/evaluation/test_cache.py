"""Kept features are those that would be computed, and whatever is wrong with them, scores come."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from datamodules.stimuli import StimulusSet
from evaluation.cache import FeatureCache
from evaluation.evaluate import evaluate
from evaluation.features import extract
from evaluation.pooling import POOLED, Features
from models.encoder import Frames
from tests.evaluation.toys import HOP, MeanBenchmark, ToyEncoder, sounds


class Listener:
    """The toy encoder's frames, without memory of its own; counts what it hears."""

    name, sample_rate, layers = "listener", 100, ToyEncoder.layers
    heard = 0

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        Listener.heard += len(audio)
        with torch.no_grad():
            return ToyEncoder(self.gain).encode(audio, lengths)


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    Listener.heard = 0


def files(folder: Path) -> StimulusSet:
    """Four sounds of 1 to 4 frames as files."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.wav" for i in range(4)]
    for i, path in enumerate(paths):
        values = np.random.default_rng(i).uniform(-0.5, 0.5, HOP * (i + 1))
        soundfile.write(path, values, 100, subtype="PCM_16")
    return StimulusSet("files", [path.stem for path in paths], paths)


def kept(folder: Path) -> list[Path]:
    """Folders that are whole; there must be no others."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    assert not [path for path in found if path.name.startswith(".")]
    return found


def equal(one: dict[Any, dict[str, Features]], two: dict[Any, dict[str, Features]]) -> bool:
    assert [(p, list(f)) for p, f in one.items()] == [(p, list(f)) for p, f in two.items()]
    return all(torch.equal(f.values, two[p][k].values) for p in one for k, f in one[p].items())


def test_a_hit_is_bit_by_bit_what_a_miss_and_no_cache_give(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    plain = extract(Listener(), sounds(), list(POOLED))
    miss = cache.of(Listener())(sounds(), list(POOLED))
    assert Listener.heard == 12
    hit = cache.of(Listener())(sounds(), list(POOLED))
    assert Listener.heard == 12
    assert equal(plain, miss)
    assert equal(plain, hit)
    assert len(kept(tmp_path / "kept")) == len(POOLED)


def test_scores_are_the_same_and_the_sounds_are_heard_once(tmp_path: Path) -> None:
    benchmarks = [MeanBenchmark("a"), MeanBenchmark("b", pooling="quarters")]
    cache = FeatureCache(tmp_path / "kept")
    runs = [evaluate(Listener(), benchmarks, cache=use) for use in (None, cache, cache)]
    assert Listener.heard == 12
    first, *others = ([replace(row, seconds=None) for row in run.scores] for run in runs)
    assert first
    assert all(rows == first for rows in others)


def test_only_poolings_that_are_not_kept_are_computed_and_frames_never_are(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    cache.of(Listener())(sounds(), ["mean"])
    both = cache.of(Listener())(sounds(), ["mean", "quarters"])
    assert Listener.heard == 12
    assert equal(both, extract(Listener(), sounds(), ["mean", "quarters"]))
    for count in (24, 30):
        found = cache.of(Listener())(sounds(), ["mean", "frames"])
        assert Listener.heard == count
        assert found["frames"]["samples"].values.shape == (6, 5, HOP)
    assert len(kept(tmp_path / "kept")) == 2


def test_touching_and_moving_sounds_changes_nothing(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    stimuli = files(tmp_path / "here")
    cache.of(Listener())(stimuli, ["mean"])
    for path in stimuli.sources:
        os.utime(path, (0, 0))  # type: ignore[arg-type]
    cache.of(Listener())(replace(stimuli), ["mean"])
    cache.of(Listener())(files(tmp_path / "here"), ["mean"])
    cache.of(Listener())(files(tmp_path / "there"), ["mean"])
    assert Listener.heard == 4
    (tmp_path / "kept").rename(tmp_path / "moved")
    named = Listener()
    named.name = "another run"
    FeatureCache(tmp_path / "moved").of(named)(files(tmp_path / "here"), ["mean"])
    assert Listener.heard == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda encoder, stimuli: (Listener(gain=1.0000001), stimuli, {}),
        lambda encoder, stimuli: (encoder, replace(stimuli, max_seconds=0.1), {}),
        lambda encoder, stimuli: (encoder, replace(stimuli, ids=["a", "b", "c", "d"]), {}),
        lambda encoder, stimuli: (encoder, stimuli, {"batch_seconds": 1.0}),
    ],
)
def test_what_changes_features_is_computed_anew(tmp_path: Path, change: Callable) -> None:
    cache = FeatureCache(tmp_path / "kept")
    cache.of(Listener())(files(tmp_path / "sounds"), ["mean"])
    encoder, stimuli, options = change(Listener(), files(tmp_path / "sounds"))
    cache.of(encoder)(stimuli, ["mean"], **options)
    assert Listener.heard == 8
    assert len(kept(tmp_path / "kept")) == 2


def test_settings_of_torch_that_move_last_bits_count(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        # Afterwards torch refuses to tell of its precision by the older name.
        for precision in (before, "tf32"):
            matmul.fp32_precision = precision
            cache.of(Listener())(sounds(), ["mean"])
    finally:
        matmul.fp32_precision = before
    with torch.autocast("cpu"):
        cache.of(Listener())(sounds(), ["mean"])
    assert Listener.heard == 18


def test_another_sound_is_heard(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    stimuli = files(tmp_path / "sounds")
    cache.of(Listener())(stimuli, ["mean"])
    soundfile.write(tmp_path / "sounds" / "2.wav", np.zeros(30), 100, subtype="PCM_16")
    found = cache.of(Listener())(replace(stimuli), ["mean"])
    assert not found["mean"]["samples"].values[2].any()


def test_a_weight_counts(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    for gain in (1.0, 1.0, 2.0):
        encoder = ToyEncoder(gain)
        found = cache.of(encoder.eval())(sounds(), ["mean"])
        plain = extract(ToyEncoder(gain).eval(), sounds(), ["mean"])
        assert equal(plain, found)
    assert len(kept(tmp_path / "kept")) == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize("file", ["000.npy", "001.npy", "about.json"])
@pytest.mark.parametrize("damage", [cut, flipped, pickled, Path.unlink, lambda p: p.write_text("")])
def test_what_is_damaged_is_made_anew_with_one_warning(
    tmp_path: Path, file: str, damage: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path / "kept")
    cache.of(Listener())(sounds(), ["mean"])
    (place,) = kept(tmp_path / "kept")
    damage(place / file)
    again = cache.of(Listener())(sounds(), ["mean"])
    assert Listener.heard == 12
    assert equal(extract(Listener(), sounds(), ["mean"]), again)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"cached features in {place} are damaged" in record.getMessage()
    cache.of(Listener())(sounds(), ["mean"])
    assert Listener.heard == 18
    assert kept(tmp_path / "kept") == [place]


def test_another_array_with_a_right_checksum_is_refused(tmp_path: Path) -> None:
    from evaluation.cache import ABOUT, _checksum

    cache = FeatureCache(tmp_path / "kept")
    cache.of(Listener())(sounds(), ["mean"])
    (place,) = kept(tmp_path / "kept")
    np.save(place / "000.npy", np.zeros((5, HOP), "float32"))
    about = json.loads((place / ABOUT).read_text())
    about["checksums"][0] = _checksum(place / "000.npy")
    (place / ABOUT).write_text(json.dumps(about))
    found = cache.of(Listener())(sounds(), ["mean"])
    assert found["mean"]["samples"].values.shape == (6, HOP)


def test_features_that_are_not_finite_are_an_error_every_time(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    for _ in range(2):
        with pytest.raises(ValueError, match="layer samples has features that are not finite"):
            cache.of(Listener(gain=float("inf")))(sounds(), ["mean", "mean_std"])
    assert Listener.heard > 6
    assert kept(tmp_path / "kept") == []


def test_what_is_changed_in_memory_does_not_change_what_is_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    plain = extract(Listener(), sounds(), ["mean"])
    cache.of(Listener())(sounds(), ["mean"])
    cache.of(Listener())(sounds(), ["mean"])["mean"]["samples"].values.zero_()
    assert equal(plain, cache.of(Listener())(sounds(), ["mean"]))


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file")
    found = FeatureCache(tmp_path / "kept").of(Listener())(sounds(), ["mean"])
    assert equal(found, extract(Listener(), sounds(), ["mean"]))
    (record,) = caplog.records
    assert "features of listener are not cached" in record.getMessage()


def test_a_full_disk_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def promise(*_: int) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", promise, raising=False)
    found = FeatureCache(tmp_path / "kept").of(Listener())(sounds(), ["mean"])
    assert equal(found, extract(Listener(), sounds(), ["mean"]))
    assert kept(tmp_path / "kept") == []
    (record,) = caplog.records
    assert "No space left" in record.getMessage()


def test_an_encoder_that_is_not_known_is_heard_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = FeatureCache(tmp_path / "kept")
    for count in (6, 12):
        encoder = Listener()
        encoder.after = lambda x: x  # type: ignore[attr-defined]
        cache.of(encoder)(sounds(), ["mean"])
        assert Listener.heard == count
    assert "features of listener are not cached: encoder.after is the function" in caplog.text
    assert kept(tmp_path / "kept") == []


def test_writers_at_the_same_time_leave_one_whole_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(3)

    class Slow(Listener):
        def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
            together.wait(timeout=30)
            return super().encode(audio, lengths)

    found: list[Any] = []

    def write() -> None:
        found.append(FeatureCache(tmp_path / "kept").of(Slow())(sounds(), ["mean"]))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(tmp_path / "kept")) == 1
    assert not caplog.records
    plain = extract(Listener(), sounds(), ["mean"])
    assert [equal(one, plain) for one in found] == [True] * 3
    assert equal(FeatureCache(tmp_path / "kept").of(Slow())(sounds(), ["mean"]), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu
def test_a_device_has_its_own(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "kept")
    for device in ("cpu", "cuda", "cpu", "cuda"):
        cache.of(ToyEncoder().to(device).eval())(sounds(), ["mean"], device)
    assert len(kept(tmp_path / "kept")) == 2


def test_what_a_killed_process_left_a_week_ago_is_deleted(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{name}.draft" for name in ("old", "new"))
    for draft in (old, new):
        draft.mkdir()
    os.utime(old, (0, 0))
    FeatureCache(tmp_path).of(Listener())(sounds(), ["mean"])
    assert not old.exists()
    assert new.exists()
