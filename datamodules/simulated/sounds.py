"""Sounds made from a seed: the pretraining audio that needs no files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules.simulated.synthesis.environment import environment
from datamodules.simulated.synthesis.music import music
from datamodules.simulated.synthesis.sound import Labels, make_generator
from datamodules.simulated.synthesis.speech import speech

FAMILIES = {"speech": speech, "music": music, "environment": environment}
# First key of every random stream: equal seeds still give disjoint sounds for different uses.
PRETRAINING, BRAIN, TASK = 0, 1, 2
# Counted up when a recipe changes, so that runs on different sounds have different fingerprints.
_RECIPES = 1


def synthesise(
    kind: str, generator: np.random.Generator, seconds: float, sample_rate: int
) -> tuple[Tensor, Labels]:
    """Generate one sound.

    Parameters
    ----------
    kind : str
        ``speech``, ``music`` or ``environment``.
    generator : numpy.random.Generator
        Everything random is drawn from it: an equal state gives an equal sound.
    seconds : float
    sample_rate : int
        Hz.

    Returns
    -------
    waveform : tensor of shape (samples,), float32
        Peak between 0.1 and 0.9.
    labels : Labels

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in FAMILIES:
        raise ValueError(f"unknown kind of sound {kind!r}: expected one of {', '.join(FAMILIES)}")
    signal, labels = FAMILIES[kind](generator, seconds, sample_rate)
    return torch.from_numpy(signal), labels


def family_of(index: int) -> str:
    """Family of clip ``index``: speech, music and environment in turn."""
    return tuple(FAMILIES)[index % len(FAMILIES)]


def numbered_sound(
    seed: int, stream: int, index: int, seconds: float, sample_rate: int
) -> tuple[Tensor, Labels]:
    """Sound ``index`` of one stream (``PRETRAINING``, ``BRAIN``, ``TASK``) of a seed."""
    return synthesise(family_of(index), make_generator(seed, stream, index), seconds, sample_rate)


class SyntheticSounds:
    """Speech-like, music-like and environmental clips, each generated when it is read.

    Parameters
    ----------
    n_clips : int
    clip_seconds : float
        Length of a clip (s).
    sample_rate : int
        Hz.
    seed : int
        Clip i depends on (seed, i) alone.
    """

    def __init__(
        self,
        n_clips: int = 2000,
        clip_seconds: float = 4.0,
        sample_rate: int = 24_000,
        seed: int = 0,
    ) -> None:
        if n_clips < 1 or clip_seconds <= 0:
            raise ValueError(f"{n_clips} clips of {clip_seconds} s: both must be positive")
        self.sample_rate = sample_rate
        self.seed = seed
        self.names: Sequence[str] = [f"sim_{family_of(i)}_{i:04d}" for i in range(n_clips)]
        self.seconds: Sequence[float] = [clip_seconds] * n_clips
        recipe = ("synthetic", _RECIPES, n_clips, clip_seconds, sample_rate, seed)
        self.fingerprint = hashlib.sha256(repr(recipe).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int, start: float, seconds: float) -> Tensor:
        """Part of clip ``index``, as mono float32 of shape (samples,).

        Parameters
        ----------
        start, seconds : float
            Onset within the clip and length (s); shorter where the clip ends earlier.
        """
        waveform, _ = self._clip(index)
        first = round(start * self.sample_rate)
        # Copied, so that a crop does not keep its whole clip in memory.
        return waveform[first : first + round(seconds * self.sample_rate)].clone()

    def labels(self, index: int) -> Labels:
        """Ground truth of clip ``index``."""
        return self._clip(index)[1]

    def _clip(self, index: int) -> tuple[Tensor, Labels]:
        return numbered_sound(self.seed, PRETRAINING, index, self.seconds[index], self.sample_rate)
