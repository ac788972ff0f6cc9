"""The envelope of a sound and its onsets: what the brain follows in any sound."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.encoder import Frames

WINDOW, HOP = 400, 160
"""Samples of a frame and between frames: 25 and 10 ms at 16 kHz."""


class Envelope(nn.Module):
    """Compressed broadband envelope and its onsets at 100 Hz, as a layer each.

    ``envelope[k] = (sum_i h_i x[160 k + i]²) ** (exponent / 2)``: the root mean square under a
    Hann window h of 25 ms and sum 1, to the power .6, with which attention is decoded best from
    EEG (Biesmans et al. 2017, IEEE Trans Neural Syst Rehabil Eng 25:402, who take it of each
    band of a filter bank). ``onsets[k] = max(0, envelope[k + 1] - envelope[k])``, halfway between
    the two.

    Frames lie inside each clip; one that is shorter than a frame is padded with silence.

    Parameters
    ----------
    exponent : float
        Of the amplitude.
    name : str
    """

    layers = ("envelope", "onsets")
    sample_rate = 16_000
    window: Tensor

    def __init__(self, exponent: float = 0.6, name: str = "envelope") -> None:
        super().__init__()
        self.name, self.exponent = name, exponent
        hann = torch.hann_window(WINDOW, dtype=torch.float64)
        self.register_buffer("window", (hann / hann.sum()).float(), False)

    @torch.no_grad()
    def encode(self, audio: Float[Tensor, "batch samples"], lengths: Tensor) -> dict[str, Frames]:
        """Layers ``envelope`` and ``onsets``, a number a frame."""
        inside = torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]
        shortest = WINDOW + HOP
        power = nn.functional.pad(audio.square() * inside, (0, max(0, shortest - audio.shape[1])))
        mean = nn.functional.conv1d(power[:, None], self.window[None, None], stride=HOP)
        envelope = mean.transpose(1, 2).clamp_min(0) ** (self.exponent / 2)
        count = (1 + (lengths - WINDOW).div(HOP, rounding_mode="floor")).clamp_min(1)
        rate, centre = self.sample_rate / HOP, WINDOW / 2 / self.sample_rate
        onsets = envelope.diff(dim=1).clamp_min(0)
        return {
            "envelope": Frames(envelope, count, rate, centre),
            "onsets": Frames(onsets, (count - 1).clamp_min(1), rate, centre + 0.5 / rate),
        }
