"""Clips shorter than a frame of any encoder, down to one sample, through a whole probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from commands.building import build
from datamodules.tasks.manifest import manifest_task
from evaluation.downstream.probing import ClassificationProbe
from evaluation.evaluate import evaluate
from evaluation.features import extract
from evaluation.pooling import POOLED
from models.external.baselines.envelope import Envelope
from models.external.baselines.logmel import LogMelFrames, LogMelStatistics
from models.external.baselines.spectrotemporal import Cochleagram
from tests.composing import TINY, config
from tests.evaluation.toys import MeanBenchmark, sounds

SAMPLES = (1, 2, 10, 100, 4000)


def manifest(folder: Path, rate: int) -> Path:
    """Clips of every length, in two classes and two folds."""
    lines = ["path,label,fold"]
    for number, samples in enumerate(4 * SAMPLES):
        values = np.random.default_rng(number).uniform(-0.5, 0.5, samples)
        soundfile.write(folder / f"{number}.wav", values, rate)
        lines.append(f"{number}.wav,{'ab'[number % 2]},{number // 10}")
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder / "clips.csv"


def encoders(folder: Path) -> list[Any]:
    model = build(config(folder, *TINY).model).eval()
    return [LogMelStatistics(), LogMelFrames(), model, Envelope(), Cochleagram()]


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_a_clip_shorter_than_a_frame_has_finite_features(tmp_path: Path, rate: int) -> None:
    task = manifest_task(manifest(tmp_path, rate))
    for encoder in encoders(tmp_path):
        found = extract(encoder, task.stimuli, [*POOLED, "frames"])
        for layers in found.values():
            assert all(torch.isfinite(feature.values).all() for feature in layers.values())
        probe = ClassificationProbe("probe/short", task)
        result = evaluate(encoder, [probe, MeanBenchmark("probe/other", sounds("o", [500]))])
        assert not result.failures
        assert {row.benchmark for row in result.scores} == {"probe/short", "probe/other"}


def test_a_clip_that_an_encoder_cannot_hear_is_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    class Picky(LogMelFrames):
        def encode(self, audio: torch.Tensor, lengths: torch.Tensor) -> Any:
            found = super().encode(audio, lengths)
            found["logmel"].values[lengths < 100] = float("nan")
            return found

    task = manifest_task(manifest(tmp_path, 24_000))
    whole = MeanBenchmark("probe/other", sounds("other", [500]))
    result = evaluate(Picky(), [ClassificationProbe("probe/short", task), whole])
    (failure,) = result.failures
    assert failure.benchmark == "probe/short"
    assert failure.error == (
        "ValueError: layer logmel has features that are not finite at stimulus 0.wav"
    )
    assert {row.benchmark for row in result.scores} == {"probe/other"}
