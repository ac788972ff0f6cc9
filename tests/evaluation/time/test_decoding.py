"""Attention decoding: the talker that drives the EEG is found, noise follows nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from alignment.rsa import pearson
from commands.building import build_benchmarks
from datamodules.brain.cocktail import recording
from evaluation.benchmark import Benchmark
from evaluation.evaluate import evaluate, fingerprint
from evaluation.rows import Score
from evaluation.time.decoding import AttentionDecoder, autocorrelation_length
from tests.composing import config
from tests.datamodules.test_cocktail import write_cocktail
from tests.evaluation.toys import MeanBenchmark, ToyEncoder

TRIALS, RATE, CHANNELS = 4, 128, 5
SAMPLES = 30 * RATE
DELAY = 13
"""Samples by which the EEG follows the attended talker: 100 ms."""


def envelopes(rng: np.random.Generator) -> np.ndarray:
    """Slow positive noise, shape (trials, samples)."""
    sections = butter(2, 8, fs=RATE, output="sos")
    return np.abs(sosfiltfilt(sections, rng.normal(size=(TRIALS, SAMPLES))))


def decoder(
    folder: Path, attended: float, unattended: float, delay: int = DELAY, seed: int = 0
) -> AttentionDecoder:
    """Of a recording in which EEG follows both talkers with the given strength, under noise."""
    rng = np.random.default_rng(seed)
    talkers = [envelopes(rng), envelopes(rng)]
    weights = rng.normal(size=(2, CHANNELS))
    eeg = np.cumsum(rng.normal(size=(TRIALS, SAMPLES, CHANNELS)), 1) * 0.3
    for strength, talker, mixing in zip((attended, unattended), talkers, weights, strict=True):
        scaled = strength * talker / talker.std()
        eeg += np.roll(scaled, delay, axis=1)[..., None] * mixing
    write_cocktail(folder, eeg, *talkers)
    return AttentionDecoder("eeg/x", recording(folder), log10_alphas=(0, 6, 4), shifts=199)


def by_target(rows: list[Score]) -> dict[str, Score]:
    return {row.target: row for row in rows}


def test_the_attended_talker_is_found(tmp_path: Path) -> None:
    rows = decoder(tmp_path, 0.5, 0.0).score({})
    assert [(r.metric, r.target) for r in rows] == [
        ("r", "attended"),
        ("r", "unattended"),
        ("r_difference", "attended-unattended"),
    ]
    assert [r.layer for r in rows] == [r.target for r in rows]
    assert {(r.benchmark, r.n, r.simulated) for r in rows} == {("eeg/x", TRIALS, False)}
    attended, unattended, difference = rows
    assert attended.value > 0.3 > 0.1 > abs(unattended.value)
    assert attended.p == difference.p == 1 / 200
    assert unattended.p is not None
    assert unattended.p > 0.05
    assert difference.value == pytest.approx(attended.value - unattended.value)
    assert difference.ci_low is not None
    assert 0 < difference.ci_low < difference.value < difference.ci_high  # type: ignore[operator]


def test_eeg_of_noise_follows_nobody(tmp_path: Path) -> None:
    for row in decoder(tmp_path, 0.0, 0.0, seed=1).score({}):
        assert abs(row.value) < 0.1
        assert row.p is not None
        assert row.p > 0.1


@pytest.mark.slow
def test_p_is_as_often_small_as_it_says(tmp_path: Path) -> None:
    found = [decoder(tmp_path, 0.0, 0.0, seed=seed).score({}) for seed in range(100)]
    for target in by_target(found[0]):
        p = np.array([by_target(rows)[target].p for rows in found])
        assert (p <= 0.05).mean() <= 0.1
        assert 0.4 < p.mean() < 0.6


@pytest.mark.long
def test_an_attended_talker_whom_the_eeg_does_not_hold_is_not_found(tmp_path: Path) -> None:
    rows = by_target(decoder(tmp_path, 0.0, 0.5).score({}))
    assert rows["attended"].p is not None
    assert rows["attended"].p > 0.02
    assert rows["attended"].value < 0.1


@pytest.mark.long
def test_only_eeg_after_the_stimulus_is_read(tmp_path: Path) -> None:
    before = by_target(decoder(tmp_path, 0.5, 0.0, delay=-40).score({}))
    assert before["attended"].value < 0.15
    late = by_target(decoder(tmp_path, 0.5, 0.0, delay=64).score({}))
    assert late["attended"].value < 0.15


@pytest.mark.long
def test_eeg_in_reverse_follows_nobody(tmp_path: Path) -> None:
    forwards = decoder(tmp_path, 0.5, 0.0)
    for trial in forwards.recording.trials:
        trial.eeg.copy_(trial.eeg.flip(0))
    rows = by_target(forwards.score({}))
    assert rows["attended"].value < 0.1
    assert rows["attended"].p is not None
    assert rows["attended"].p > 0.02


def test_signals_are_band_passed_without_delay_resampled_and_standardised(tmp_path: Path) -> None:
    made = decoder(tmp_path, 0.5, 0.0)
    time = torch.arange(SAMPLES, dtype=torch.float64) / RATE
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (4.0, 0.1, 30.0)], 1)
    mixed = made._prepare((tones * torch.tensor([1.0, 5.0, 5.0])).sum(1, keepdim=True))
    assert mixed.shape == (SAMPLES // 2, 1)
    assert float(mixed.mean()) == pytest.approx(0, abs=1e-9)
    assert float(mixed.std()) == pytest.approx(1)
    inside = slice(320, -320)  # filters ring at the ends
    assert float(pearson(mixed[inside, 0], tones[::2, 0][inside])) > 0.999


def test_shifts_are_far_from_none_and_alike_for_both_talkers(tmp_path: Path) -> None:
    made = decoder(tmp_path, 0.0, 0.0)
    both = torch.randn(1000, 2, dtype=torch.float64)
    rolled = made._roll(both, torch.Generator().manual_seed(0))
    assert rolled.shape == (2, 1000, 200)
    torch.testing.assert_close(rolled[..., 0], both.T)
    for draw in range(1, 200):
        shift = int((rolled[0, :, draw] == both[0, 0]).nonzero())
        assert 64 <= shift <= 1000 - 64
        assert torch.equal(rolled[..., draw], both.T.roll(shift, 1))
    slow = torch.cos(2 * torch.pi * torch.arange(400.0) / 100)
    # cos(2 pi s / 100) falls below 1/e after 19.003 samples.
    assert autocorrelation_length(slow) == 20
    slow_too = torch.stack([slow, torch.rand(400)], 1).double()
    far = made._roll(slow_too, torch.Generator().manual_seed(0))[1]
    away = {int((far[:, draw] == slow_too[0, 1]).nonzero()) for draw in range(1, 200)}
    assert min(away) >= 100
    assert max(away) <= 300
    with pytest.raises(ValueError, match="no circular shift of 120 rows by 64 or more"):
        made._roll(both[:120], torch.Generator())


# ---- a benchmark without stimuli -----------------------------------------------------------------


class Alone:
    """Brings its own features."""

    stimuli = None
    pooling = "mean"

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error = name, error

    def score(self, features: dict[str, Tensor]) -> list[Score]:
        assert features == {}
        if self.error is not None:
            raise self.error
        return [Score(self.name, "r", "envelope", 0.5)]


def test_nothing_is_encoded_for_it_and_rows_say_who_was_evaluated() -> None:
    encoder = ToyEncoder()
    assert isinstance(Alone("eeg/a"), Benchmark)
    result = evaluate(encoder, [Alone("eeg/a"), Alone("eeg/b")], step=4)
    assert encoder.batches == []
    assert [row.benchmark for row in result.scores] == ["eeg/a", "eeg/b"]
    for row in result.scores:
        assert (row.encoder, row.fingerprint, row.step) == ("toy", fingerprint(encoder), 4)
        assert row.seconds is not None
    assert not result.failures


def test_it_fails_and_is_left_out_like_any_other() -> None:
    broken = Alone("eeg/broken", ValueError("no trials today"))
    every = [broken, MeanBenchmark("probe/a"), Alone("eeg/whole")]
    result = evaluate(ToyEncoder(), every)
    assert {row.benchmark for row in result.scores} == {"probe/a", "eeg/whole"}
    assert [f.error for f in result.failures] == ["ValueError: no trials today"]
    late = evaluate(ToyEncoder(), every, time_budget=0.0)
    assert {f.benchmark for f in late.failures} == {b.name for b in every}
    with pytest.raises(RuntimeError, match="eeg/broken: ValueError: no trials today"):
        evaluate(ToyEncoder(), every, on_error="raise")


def test_processes_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.evaluate._my_share", lambda group: group[1::2])
    every = [Alone(f"eeg/{name}") for name in "abcd"]
    assert [r.benchmark for r in evaluate(ToyEncoder(), every).scores] == ["eeg/b", "eeg/d"]


@pytest.mark.slow
@pytest.mark.data("brain/cocktail_eeg")
def test_attention_is_decoded_from_the_recording(data: Path, tmp_path: Path) -> None:
    fewer = "+benchmark.eeg.cocktail_decoder.shifts=199"
    cfg = config(tmp_path, "benchmark=[eeg/cocktail_decoder]", fewer)
    benchmarks, failures = build_benchmarks(cfg)
    assert not failures
    rows = by_target(benchmarks["eeg/cocktail_decoder"].score({}))
    attended, unattended = rows["attended"], rows["unattended"]
    assert attended.value > 0.05
    assert attended.value > unattended.value
    assert attended.p is not None
    assert attended.p < 0.01
    difference = rows["attended-unattended"]
    assert difference.p is not None
    assert difference.p < 0.05
    assert difference.ci_low is not None
    assert difference.ci_low > 0
    assert {row.n for row in rows.values()} == {5}
