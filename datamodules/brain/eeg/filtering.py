"""Gaps, filters and the analysis rate: the steps along time."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datamodules.brain.eeg.preprocessing import Preprocessing

if TYPE_CHECKING:
    from mne.io import BaseRaw


def fill_gaps(raw: BaseRaw) -> tuple[BaseRaw, NDArray[np.bool_]]:
    """Each channel less its median, 0 where it is not a number; and where that was."""
    import mne

    values = raw.get_data()
    gaps = ~np.isfinite(values)
    values[gaps] = np.nan
    some = ~gaps.all(1)
    values[some] -= np.nanmedian(values[some], axis=1, keepdims=True)
    values[gaps] = 0
    return mne.io.RawArray(values, raw.info, verbose="ERROR"), gaps


def apply_filter(raw: BaseRaw, options: Preprocessing, line: float | None, name: str) -> BaseRaw:
    """Notch, band-pass, then resample: the stop band begins at half of the new rate."""
    rate = float(raw.info["sfreq"])
    if rate < options.rate:
        raise ValueError(
            f"{name} was sampled at {rate:g} Hz, below the requested {options.rate:g} Hz"
        )
    phase = "zero" if options.phase == "zero" else "minimum"
    if line:
        harmonics = np.arange(line, rate / 2, line)
        if len(harmonics := harmonics[harmonics * (1 + 1 / 400) + 1 < rate / 2]):
            raw = raw.notch_filter(harmonics, phase=phase, verbose="ERROR")
    width = options.rate / 2 - options.upper_edge
    raw = raw.filter(
        options.high_pass, options.upper_edge, h_trans_bandwidth=width, phase=phase, verbose="ERROR"
    )
    return _resample(raw, options)


def _resample(raw: BaseRaw, options: Preprocessing) -> BaseRaw:
    """Sample k at ``k / rate``, exactly: mne stretches a recording to a whole number of samples."""
    import mne

    ratio = Fraction(options.rate / float(raw.info["sfreq"])).limit_denominator(10000)
    if ratio == 1:
        return raw
    values = raw.get_data()
    times = values.shape[1] * ratio.numerator // ratio.denominator
    if options.phase == "causal" and ratio.numerator == 1:
        values = values[:, :: ratio.denominator]
    else:
        values = np.pad(values, ((0, 0), (0, -values.shape[1] % ratio.denominator)), mode="edge")
        values = mne.filter.resample(
            values,
            ratio.numerator,
            ratio.denominator,
            method="polyphase",
            pad="edge",
            verbose="ERROR",
        )
    info = mne.create_info(raw.ch_names, options.rate, "eeg", verbose="ERROR")
    info.set_montage(raw.get_montage(), on_missing="ignore", verbose="ERROR")
    return mne.io.RawArray(values[:, :times], info, verbose="ERROR")
