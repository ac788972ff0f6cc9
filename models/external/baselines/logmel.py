"""Log-mel spectrograms: the floor that every model must beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.encoder import Frames
from models.frontend import LogMel


class LogMelFrames(nn.Module):
    """The log-mel spectrogram itself: what follows a sound in time without learning.

    Parameters
    ----------
    bands : int
    name : str
    """

    layers = ("logmel",)
    in_time = True

    def __init__(self, bands: int = 128, name: str = "logmel_frames") -> None:
        super().__init__()
        self.frontend = LogMel(bands=bands)
        self.name = name
        self.sample_rate = self.frontend.sample_rate

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        frontend = self.frontend
        values, count = frontend(audio), frontend.frames(lengths)
        return {"logmel": Frames(values, count, frontend.rate, frontend.offset)}


class LogMelStatistics(LogMelFrames):
    """Mean and standard deviation over time of each log-mel band, as one frame per clip.

    Parameters
    ----------
    bands : int
    name : str
    """

    in_time = False

    def __init__(self, bands: int = 128, name: str = "logmel") -> None:
        super().__init__(bands, name)

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        """One frame of ``2 * bands`` numbers for each clip."""
        found = super().encode(audio, lengths)["logmel"]
        frames, count = found.values, found.lengths
        inside = torch.arange(frames.shape[1], device=audio.device) < count[:, None]
        weight = inside[..., None] / count[:, None, None]
        mean = (frames * weight).sum(1)
        std = ((frames - mean[:, None]).square() * weight).sum(1).sqrt()
        values = torch.cat([mean, std], -1)[:, None]
        # One frame has no rate of its own; it stands for the clip, whatever its length.
        return {"logmel": Frames(values, torch.ones_like(lengths), rate=1.0, offset=0.5)}
