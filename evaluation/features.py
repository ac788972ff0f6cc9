"""One pass over the stimuli gives the features of every layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Features of one layer for all stimuli of a set, in stimulus order, on the CPU.

    Parameters
    ----------
    values : tensor of shape (stimuli, dim), or (stimuli, frames, dim) where frames are kept
    lengths : tensor of shape (stimuli,), optional
        Valid frames, where frames are kept.
    rate, offset : float, optional
        Frame rate (Hz) and centre of frame 0 (s), where frames are kept.
    """

    values: Tensor
    lengths: Tensor | None = None
    rate: float | None = None
    offset: float | None = None
