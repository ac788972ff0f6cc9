"""Encoders, sounds and benchmarks whose right answers anyone can work out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from datamodules.stimuli import StimulusSet
from evaluation.features import Features, Pooling
from evaluation.rows import Score
from models.encoder import Frames

HOP = 10
LENGTHS = (50, 10, 30, 20, 45, 10)
"""Samples of the toy sounds: 5, 1, 3, 2, 4 and 1 frames, in no order."""


def sound(seed: int, samples: int) -> tuple[Tensor, int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(samples, generator=generator) - 0.5, 100


def sounds(name: str = "toys", lengths: Sequence[int] = LENGTHS) -> StimulusSet:
    """Random sounds at 100 Hz, named by their number."""
    sources = [partial(sound, seed, samples) for seed, samples in enumerate(lengths)]
    return StimulusSet(name, [f"sound{i}" for i in range(len(lengths))], sources)


class ToyEncoder(nn.Module):
    """Frames of ten samples, and their squares; what stands behind a clip's end is not a number."""

    layers: tuple[str, ...] = ("samples", "squares")
    sample_rate = 100

    def __init__(self, gain: float = 1.0, name: str = "toy") -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.inner = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(1))
        self.name = name
        self.batches: list[int] = []

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        self.batches.append(len(audio))
        audio = nn.functional.pad(audio, (0, -audio.shape[1] % HOP))
        frames = audio.unflatten(1, (-1, HOP)) * self.gain
        count = lengths // HOP
        behind = torch.arange(frames.shape[1]) >= count[:, None]
        frames = frames.masked_fill(behind[..., None], float("nan"))
        values = {"samples": frames, "squares": frames.square()}
        return {name: Frames(v, count, 10.0, 0.05) for name, v in values.items()}


@dataclass
class MeanBenchmark:
    """Scores a layer by the mean of its features; remembers what it was given."""

    name: str
    stimuli: StimulusSet = field(default_factory=sounds)
    pooling: Pooling = "mean"
    error: Exception | None = None
    given: list[Mapping[str, Features]] = field(default_factory=list)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        self.given.append(features)
        if self.error is not None:
            raise self.error
        return [
            Score(self.name, "mean", layer, float(feature.values.mean()))
            for layer, feature in features.items()
        ]
