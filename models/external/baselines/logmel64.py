"""The 64-band log-mel statistics that the figures of small tasks in docs/probes.md are for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.encoder import Frames

WINDOW, HOP, BANDS, SHORTEST = 512, 160, 64, 1024
LOW, HIGH = 30.0, 8000.0


class LogMel64(nn.Module):
    """Mean and standard deviation over frames of the first seconds of a clip, 128 numbers.

    Power of 32 ms Hann windows (divided by their sum) every 10 ms, in 64 triangular bands evenly
    spaced in ``2595 log10(1 + f / 700)`` from 30 to 8,000 Hz, as ``log(x + 1e-8)``. Clips shorter
    than 1,024 samples are padded with zeros; frames lie wholly within the clip.

    Parameters
    ----------
    seconds : float
        What is heard of a clip.
    """

    layers = ("logmel",)
    sample_rate = 16000
    in_time = False
    window: Tensor
    bank: Tensor

    def __init__(self, seconds: float = 5.0, name: str = "logmel64") -> None:
        super().__init__()
        self.name = name
        self.longest = round(seconds * self.sample_rate)
        self.register_buffer("window", torch.hann_window(WINDOW, dtype=torch.float64))
        self.register_buffer("bank", mel_bank(self.sample_rate))

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        """One frame of 128 numbers for each clip."""
        lengths = lengths.clamp(SHORTEST, self.longest)
        audio = nn.functional.pad(audio, (0, max(0, SHORTEST - audio.shape[1])))
        frames = audio[:, : self.longest].double().unfold(1, WINDOW, HOP) * self.window
        power = torch.fft.rfft(frames / self.window.sum()).abs().square()
        mel = (power @ self.bank.T + 1e-8).log()
        count = (lengths - WINDOW) // HOP + 1
        weight = (torch.arange(mel.shape[1], device=mel.device) < count[:, None])[..., None]
        mean = (mel * weight).sum(1) / count[:, None]
        std = (((mel - mean[:, None]).square() * weight).sum(1) / count[:, None]).sqrt()
        values = torch.cat([mean, std], -1)[:, None].float()
        return {"logmel": Frames(values, torch.ones_like(lengths), rate=1.0, offset=0.5)}


def mel_bank(sample_rate: int) -> Tensor:
    """Weights of shape (bands, frequencies); a triangle reaches 1 at its centre."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    places = torch.linspace(mel(LOW), mel(HIGH), BANDS + 2, dtype=torch.float64)
    edges = 700 * (10 ** (places / 2595) - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequencies = torch.linspace(0, sample_rate / 2, WINDOW // 2 + 1, dtype=torch.float64)
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return torch.minimum(rising, falling).clamp_min(0)
