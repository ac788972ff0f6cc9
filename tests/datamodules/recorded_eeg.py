"""Recordings made here that go through all steps of cleaning."""

from __future__ import annotations

import mne
import numpy as np

from datamodules.brain.eeg.cleaning import preprocess
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording
from tests.datamodules.upstream_eeg import M10, course, gains

RATE = 500.0
PLAIN = Preprocessing(reference="none", zscore=False)
CHANNELS = M10[:11]


def eeg(
    seconds: float = 20.0, rate: float = RATE, channels: tuple[str, ...] = CHANNELS
) -> np.ndarray:
    """Microvolts that follow one smooth course with each channel's own gain."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=(len(channels), len(times)))
    return 10 * gains(len(channels))[:, None] * course(1)(times) + 0.3 * noise


def clean(
    microvolts: np.ndarray,
    options: Preprocessing = PLAIN,
    rate: float = RATE,
    montage: str | None = "easycap-M10",
    **extra: object,
) -> Recording:
    info = mne.create_info(list(CHANNELS), rate, "eeg")
    return preprocess(
        [],
        lambda: mne.io.RawArray(1e-6 * microvolts, info, verbose="ERROR"),
        options,
        subject="S01",
        recording="a",
        montage=montage,
        **extra,  # type: ignore[arg-type]
    )


def sine(frequency: float, amplitude: float = 50.0, seconds: float = 20.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
