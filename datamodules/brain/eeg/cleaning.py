"""One way to clean all EEG: the steps in their order, and what is reported of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datamodules.brain.eeg.cache import content_key, load, save
from datamodules.brain.eeg.channels import (
    find_bad_channels,
    interpolate_bad,
    place_channels,
    positions,
    rereference,
    to_volts,
)
from datamodules.brain.eeg.filtering import apply_filter, fill_gaps
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording

if TYPE_CHECKING:
    from mne.io import BaseRaw

log = logging.getLogger(__name__)


def preprocess(
    files: Sequence[Path],
    read: Callable[[], BaseRaw],
    options: Preprocessing,
    *,
    subject: str,
    recording: str,
    line: float | None = None,
    listed_bad: Sequence[str] = (),
    mastoids: Sequence[str] = (),
    implicit: str | None = None,
    montage: str | None = None,
    cache: str | Path | None = None,
) -> Recording:
    """A recording after all steps, from the cache where it is there.

    Parameters
    ----------
    files : sequence of Path
        All that the recording is read from: their bytes and the options name the cached file.
    read : callable
        Gives the recording in volts; called only where nothing is cached.
    line : float, optional
        Line frequency of the country (Hz).
    listed_bad : sequence of str
        Channels that are known to be bad.
    mastoids : sequence of str
        Channels of the mastoid reference.
    implicit : str, optional
        Electrode of the online reference, which is zero by definition and not recorded.
    montage : str, optional
        Standard montage of mne; default the positions in the file.
    cache : path, optional
        Folder of cached recordings.
    """
    details = (line, sorted(listed_bad), sorted(mastoids), implicit, montage)
    target = None
    if cache is not None:
        target = Path(cache) / f"{content_key(files, options, details)}.npz"
        if (kept := load(target)) is not None:
            quality = kept.quality | {"subject": subject, "recording": recording}
            return Recording(kept.values, kept.channels, kept.rate, kept.positions, quality)
    log.info("preprocessing %s of %s", recording, subject)
    raw = read()
    if montage is not None:
        raw = place_channels(raw, montage, recording)
    name = f"{subject}, {recording}"
    cleaned = clean(raw, options, line, listed_bad, mastoids, implicit, name)
    cleaned.quality.update({"subject": subject, "recording": recording})
    if target is not None:
        save(target, cleaned)
    return cleaned


def clean(
    raw: BaseRaw,
    options: Preprocessing,
    line: float | None,
    listed_bad: Sequence[str],
    mastoids: Sequence[str],
    implicit: str | None,
    name: str,
) -> Recording:
    """All steps: gaps, filters, resampling, bad channels, reference, scale.

    Parameters
    ----------
    name : str
        Subject and recording, for errors; the other parameters are those of `preprocessed`.
    """
    if "eeg" not in raw:
        raise ValueError(f"{name} has no EEG channels, but {', '.join(raw.ch_names[:8])}")
    raw = raw.load_data(verbose="ERROR").pick("eeg", exclude=[], verbose="ERROR")
    listed = {*listed_bad, *raw.info["bads"]}
    raw.info["bads"] = []
    raw, gaps = fill_gaps(raw)
    raw = apply_filter(raw, options, options.line if options.line is not None else line, name)
    channels = tuple(raw.ch_names)
    found = find_bad_channels(raw.get_data().T, options)
    bad = [c for k, c in enumerate(channels) if c in listed or k in found or gaps[k].mean() > 0.1]
    if len(bad) > len(channels) / 2:
        log.warning("%s: %d of %d channels are bad", name, len(bad), len(channels))
    places = positions(raw)
    if bad and options.interpolate:
        raw = interpolate_bad(raw, bad, name)
    values = rereference(raw.get_data().T, channels, options, bad, mastoids, implicit, name)
    nearest = np.linspace(0, gaps.shape[1] - 1, len(values)).astype(int)
    missing = np.asarray(gaps.any(axis=0))[nearest]
    values, rejected = to_volts(values, missing, options)
    quality: dict[str, object] = {
        "bad_channels": bad,
        "interpolated": bool(bad) and options.interpolate,
        "rejected_seconds": round(float(rejected.sum()) / options.rate, 3),
        "seconds": round(len(values) / options.rate, 3),
    }
    return Recording(values.astype(np.float32), channels, options.rate, places, quality)
