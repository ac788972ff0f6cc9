"""What a self-check finds, one row a finding, and the encoder under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from models.encoder import Encoder, Frames

SECONDS = (1.07, 1.98, 2.74, 4.0)
"""Lengths of clips in HEAR's validator."""

Verdict = Literal["ok", "note", "fails"]


@dataclass(frozen=True)
class Finding:
    """What one check found, and what was expected; a note is no failure."""

    check: str
    verdict: Verdict
    found: str
    expected: str = ""
    layer: str = ""


@dataclass
class SelfCheck:
    """An encoder under test and what was found so far."""

    encoder: Encoder
    device: torch.device | str = "cpu"
    findings: list[Finding] = field(default_factory=list)

    def add(self, check: str, good: bool, found: str, expected: str, layer: str = "") -> None:
        self.findings.append(Finding(check, "ok" if good else "fails", found, expected, layer))

    def note(self, check: str, found: str, layer: str = "") -> None:
        self.findings.append(Finding(check, "note", found, "", layer))

    def encode(self, clips: Sequence[Tensor]) -> dict[str, Frames]:
        """Features of clips (samples,), padded together."""
        lengths = torch.tensor([len(clip) for clip in clips], device=self.device)
        audio = nn.utils.rnn.pad_sequence(list(clips), batch_first=True).to(self.device)
        return self.encoder.encode(audio, lengths)

    def clip(self, seconds: float, seed: int = 0) -> Tensor:
        """Noise whose loudness and colour change, in [-1, 1]; every seed sounds different."""
        samples = max(1, round(seconds * self.encoder.sample_rate))
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(samples, generator=generator)
        smooth = torch.nn.functional.avg_pool1d(noise[None, None], 1 + 4 * seed, 1, 2 * seed)[0, 0]
        turns = torch.linspace(0, 2 * torch.pi * (1 + seed) * seconds, samples)
        made = smooth / smooth.std().clamp_min(1e-6) if samples > 1 else smooth
        return (0.05 * made * (1.2 + turns.sin())).clamp(-1, 1)


def valid(frames: Frames, clip: int) -> Tensor:
    return frames.values[clip, : int(frames.lengths[clip])].float()
