"""A clean recording, and stretches cut out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAPS = 16
"""Samples on either side that an interpolated one is made of."""


@dataclass(frozen=True)
class Recording:
    """A clean recording.

    Parameters
    ----------
    values : array of shape (times, channels), float32
        Standard deviations (or microvolts); sample k was taken ``k / rate`` seconds after the
        first.
    positions : array of shape (channels, 3), optional
        Of the electrodes (m, head coordinates).
    quality : dict
        Subject, recording, bad channels, whether they were interpolated, rejected seconds.
    """

    values: NDArray[np.float32]
    channels: tuple[str, ...]
    rate: float
    positions: NDArray[np.float64] | None
    quality: dict[str, object]

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.values) / self.rate


def cut(recording: Recording, start: float, times: int, exact: bool = True) -> NDArray[np.float32]:
    """``times`` samples from ``start`` (s) on, interpolated between the recording's samples.

    y[k] = sum_m x[m] w(u - m) sinc(u - m), u = rate * start + k, w a Hann window of ± 16 samples.

    Parameters
    ----------
    exact : bool
        If false, the nearest sample is the first: causal.

    Returns
    -------
    array of shape (times, channels)

    Raises
    ------
    ValueError
        Where the recording does not hold them all; the message says which are missing.
    """
    first, count = start * recording.rate, len(recording.values)
    first = first if exact else round(first)
    before, after = -first, first + times - 1 - (count - 1)
    if before > 0.5:
        raise ValueError(f"begins {before / recording.rate:.2f} s before the recording")
    if after > 0.5:
        raise ValueError(f"ends {after / recording.rate:.2f} s after the recording")
    base = int(np.floor(first + 1e-6))
    taps = np.arange(1 - TAPS, TAPS + 1)
    distance = first - base - taps
    kernel = np.sinc(distance) * np.cos(np.pi * distance / (2 * TAPS + 1)) ** 2
    kernel /= kernel.sum()
    index = (base + np.arange(times)[:, None] + taps).clip(0, count - 1)
    return np.einsum("tkc,k->tc", recording.values[index], kernel).astype(np.float32)
