"""Models small enough for a test: of the same parts as our real one, and of transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.encodecmae import EncodecMAE, Masking
from models.frontend import LogMel
from models.optim import Optimisation
from models.targets import Target
from models.transformer import Transformer

MEL = {"bands": 24, "sample_rate": 8000, "window_ms": 32.0, "hop_ms": 16.0}


class LoudestBands(Target):
    """Codes that anyone can check: the loudest band in each part of the spectrum."""

    def __init__(self) -> None:
        super().__init__(2, 12, (0.7, 0.3))
        self.frontend = LogMel(**MEL)

    def forward(self, audio: Tensor) -> Tensor:
        return self.frontend(audio).unflatten(2, (2, 12)).argmax(-1)


@pytest.fixture
def mel() -> LogMel:
    """Frames of 256 samples every 128, at 8 kHz."""
    return LogMel(**MEL)


@pytest.fixture
def tiny(mel: LogMel) -> Callable[..., EncodecMAE]:
    """Builds a model of two layers and 64 channels."""

    def build(
        seed: int = 0, masking: Masking | None = None, target: Target | None = None, **kwargs: Any
    ) -> EncodecMAE:
        torch.manual_seed(seed)
        return EncodecMAE(
            frontend=kwargs.pop("frontend", mel),
            encoder=Transformer(2, 64, 4, 128),
            decoder=Transformer(2, 64, 4, 128),
            target=target or LoudestBands(),
            masking=masking or Masking(gap=5),
            optimisation=Optimisation(),
            **kwargs,
        )

    return build


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model of transformers, saved once."""
    from tests.models.tiny_transformers import save_tiny

    folder = tmp_path_factory.mktemp("tiny")

    def save(name: str) -> Path:
        place = folder / name.replace(" ", "_").lower()
        return place if place.is_dir() else save_tiny(name, place)

    return save
