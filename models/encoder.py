"""What evaluation knows of a model: an :class:`Encoder` turns audio into :class:`Frames`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """Features of one layer for one batch of clips.

    Parameters
    ----------
    values : tensor of shape (batch, frames, dim)
        Frames past a clip's own length are meaningless and must not be read.
    lengths : tensor of shape (batch,)
        Number of valid frames of each clip, at least 1.
    rate : float
        Frames per second (Hz).
    offset : float
        Centre of frame 0, in seconds from the start of the clip.
    """

    values: Float[Tensor, "batch frames dim"]
    lengths: Int[Tensor, " batch"]
    rate: float
    offset: float


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns audio into features.

    Attributes
    ----------
    name : str
        Shown in tables and figures.
    sample_rate : int
        Rate of the audio that ``encode`` expects (Hz).
    layers : tuple of str
        Layer names, shallow to deep.
    """

    name: str
    sample_rate: int
    layers: tuple[str, ...]

    def encode(
        self, audio: Float[Tensor, "batch samples"], lengths: Int[Tensor, " batch"]
    ) -> dict[str, Frames]:
        """Features of every layer.

        Parameters
        ----------
        audio : tensor of shape (batch, samples)
            Mono float32 in [-1, 1], zero-padded on the right.
        lengths : tensor of shape (batch,)
            Valid samples of each clip.
        """
        ...


@runtime_checkable
class StoredFeatures(Protocol):
    """An encoder whose features lie ready: they are looked up by the names of the stimuli."""

    name: str
    layers: tuple[str, ...]

    def lookup(self, names: Sequence[str]) -> dict[str, Tensor | Frames]:
        """Vectors (stimuli, dim) or Frames of every layer, in the order of ``names``."""
        ...
