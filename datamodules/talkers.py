"""Recordings of one person who listens to one of two talkers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.stimuli import Provenance


@dataclass(frozen=True)
class Trial:
    """EEG while two talkers spoke at once.

    Parameters
    ----------
    eeg : tensor of shape (t, channels), float64
        Presumably microvolts.
    mastoids : tensor of shape (t, 2), float64
    attended, unattended : tensors of shape (t,), float64
        Speech envelopes of the talker who was listened to, and of the other one.
    """

    eeg: Tensor
    mastoids: Tensor
    attended: Tensor
    unattended: Tensor


@dataclass(frozen=True)
class TwoTalkerRecording:
    """Trials of one participant.

    Parameters
    ----------
    rate : float
        Samples a second (Hz) of EEG and envelopes.
    montage : str
        Name of the electrode layout in MNE; empty where unknown.
    """

    trials: tuple[Trial, ...]
    rate: float
    provenance: Provenance
    montage: str = ""

    def __post_init__(self) -> None:
        for number, trial in enumerate(self.trials, start=1):
            parts = vars(trial)
            if len({len(values) for values in parts.values()}) > 1:
                lengths = ", ".join(f"{len(values)} of {name}" for name, values in parts.items())
                raise ValueError(f"trial {number} has samples {lengths}: expected one length")
            for name, values in parts.items():
                if not torch.isfinite(values).all():
                    raise ValueError(f"trial {number}: {name} holds values that are not a number")
