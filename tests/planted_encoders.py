"""Encoders that hear as log-mel statistics do, note it, and fail in the ways that models fail."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from torch import Tensor

from models.encoder import Frames
from models.external.baselines.logmel import LogMelStatistics


class Noting(LogMelStatistics):
    """Adds a line with the number of sounds to a file, for every batch that it hears."""

    def __init__(self, heard: str, bands: int = 16) -> None:
        super().__init__(bands=bands)
        self.name = f"noting{bands}"
        self.heard = heard

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        with Path(self.heard).open("a") as file:
            file.write(f"{len(audio)}\n")
        return super().encode(audio, lengths)


class Hungry(Noting):
    """Has memory for so many sounds; is refused more, or killed."""

    def __init__(self, heard: str, most: int, killed: bool = False) -> None:
        super().__init__(heard)
        self.most, self.killed = most, killed

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        if len(audio) > self.most and self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(audio) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 80.00 GiB")
        return super().encode(audio, lengths)


def unreadable(path: str) -> Noting:
    raise FileNotFoundError(f"no weights at {path}")
