"""Places, bad channels, reference and scale: the steps across channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datamodules.brain.eeg.preprocessing import Preprocessing

if TYPE_CHECKING:
    from mne.io import BaseRaw

Array = NDArray[np.float64]


def place_channels(raw: BaseRaw, montage: str, recording: str) -> BaseRaw:
    """The channels of a standard montage, with their positions.

    Raises
    ------
    ValueError
        Where fewer than two channels have names of the montage.
    """
    import mne

    places = mne.channels.make_standard_montage(montage)
    known = [name for name in raw.ch_names if name in places.ch_names]
    if len(known) < 2:
        raise ValueError(
            f"{recording} has {len(known)} channels of the montage {montage}: its channels are "
            f"{', '.join(raw.ch_names[:8])}"
        )
    raw = raw.pick(known, verbose="ERROR")
    raw.set_channel_types(dict.fromkeys(known, "eeg"), verbose="ERROR")
    return raw.set_montage(places, verbose="ERROR")


def find_bad_channels(values: Array, options: Preprocessing) -> set[int]:
    """Channels that are flat, too large or small, or unlike the others.

    Parameters
    ----------
    values : array of shape (times, channels)
    """
    deviation = values.std(0)
    flat = deviation <= options.flat * np.median(deviation)
    if flat.all():
        return set(range(len(flat)))
    good = ~flat
    while good.sum() > 2:
        spread = max(float(deviation[good].std()), 1e-3 * float(deviation[good].mean()))
        z = np.abs(deviation - deviation[good].mean()) / spread
        if not (good & (z > options.bad_z)).any():
            break
        good &= z <= options.bad_z
    if good.sum() > 2:
        kept = np.flatnonzero(good)
        r = np.abs(np.corrcoef(values[:, kept], rowvar=False))
        np.fill_diagonal(r, np.nan)
        best = np.nanpercentile(r, 98, axis=1)
        good[kept[best < options.bad_correlation]] = False
    return set(np.flatnonzero(~good).tolist())


def positions(raw: BaseRaw) -> Array | None:
    """Places of the electrodes (m), of shape (channels, 3), where all of them are known."""
    places = np.array([place["loc"][:3] for place in raw.info["chs"]])
    return places if np.isfinite(places).all() and places.any(1).all() else None


def interpolate_bad(raw: BaseRaw, bad: Sequence[str], name: str) -> BaseRaw:
    """The recording with its bad channels rebuilt from their neighbours, in place.

    Raises
    ------
    ValueError
        Where the electrodes have no positions, or fewer than four are good.
    """
    import mne

    if positions(raw) is None:
        raise ValueError(
            f"{name}: {', '.join(bad)} cannot be interpolated without electrode positions: "
            "name a montage, or set interpolate=false"
        )
    if len(raw.ch_names) - len(bad) < 4:
        raise ValueError(f"{name}: {len(bad)} of {len(raw.ch_names)} channels are bad")
    raw.info["bads"] = list(bad)
    with mne.utils.use_log_level("ERROR"):
        raw.interpolate_bads(reset_bads=True)
    return raw


def rereference(
    values: Array,
    channels: tuple[str, ...],
    options: Preprocessing,
    bad: Sequence[str],
    mastoids: Sequence[str],
    implicit: str | None,
    name: str,
) -> Array:
    """Values less the average of the channels, or that of the mastoids.

    Parameters
    ----------
    values : array of shape (times, channels)
    bad : sequence of str
        Channels that do not count for the average, unless they were interpolated.
    mastoids : sequence of str
        Channels of the mastoid reference.
    implicit : str, optional
        Electrode of the online reference, which is zero and not among the channels.
    name : str
        Of the recording, for errors.
    """
    if options.reference == "none":
        return values
    if options.reference == "average":
        left = [k for k, c in enumerate(channels) if options.interpolate or c not in bad]
        return values - values[:, left].mean(1, keepdims=True)
    unknown = [c for c in mastoids if c not in channels and c != implicit]
    if not mastoids or unknown:
        raise ValueError(
            f"{name} has no mastoid channels {', '.join(unknown)}: use reference=average"
        )
    sides = [values[:, channels.index(c)] for c in mastoids if c in channels]
    return values - np.sum(sides, axis=0)[:, None] / len(mastoids)


def to_volts(
    values: Array, missing: NDArray[np.bool_], options: Preprocessing
) -> tuple[Array, NDArray[np.bool_]]:
    """Values with mean 0 and standard deviation 1 (or in microvolts), and rejected samples.

    Parameters
    ----------
    values : array of shape (times, channels)
        Volts.
    missing : array of shape (times,)
        Samples that were not recorded: rejected.

    Returns
    -------
    values : array of shape (times, channels)
    rejected : array of shape (times,)
    """
    centred = np.asarray(values - np.median(values, axis=0))
    spread = 1.4826 * np.median(np.abs(centred), axis=0)
    robust = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    rejected = missing | (np.sqrt((robust**2).mean(1)) > options.huge)
    kept = values[~rejected] if not rejected.all() else values
    mean, deviation = kept.mean(0) if options.zscore else 0.0, kept.std(0)
    z = np.divide(values - mean, deviation, out=np.zeros_like(values), where=deviation > 0)
    z = z.clip(-options.huge, options.huge)
    return (z if options.zscore else 1e6 * z * deviation), rejected
