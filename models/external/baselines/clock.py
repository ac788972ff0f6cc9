"""The time since the onset of a sound and nothing else: what must score zero in time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.encoder import Frames

RATE = 50.0
"""Frames a second."""
SCALES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds within which a feature fades."""


class Clock(nn.Module):
    """Features that are the same for every sound: ``exp(-t / s)``, ``sin(t / s)``, ``cos(t / s)``.

    A benchmark in time that gives them more than zero rewards knowing when a sound began.

    Parameters
    ----------
    name : str
    """

    layers = ("clock",)
    sample_rate = 16_000

    def __init__(self, name: str = "clock") -> None:
        super().__init__()
        self.name = name

    @torch.no_grad()
    def encode(self, audio: Float[Tensor, "batch samples"], lengths: Tensor) -> dict[str, Frames]:
        """One layer, (batch, frames, 18)."""
        hop = int(self.sample_rate / RATE)
        count = (lengths // hop).clamp_min(1)
        time = (torch.arange(int(count.max()), device=audio.device) + 0.5) / RATE
        scaled = time[:, None] / torch.tensor(SCALES, device=audio.device)
        values = torch.cat([(-scaled).exp(), scaled.sin(), scaled.cos()], -1)
        frames = values.expand(len(audio), -1, -1)
        return {"clock": Frames(frames, count, RATE, 0.5 / RATE)}
