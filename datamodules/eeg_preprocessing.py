"""One way to clean all EEG: filter, resample, mend and scale a recording; kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mne.io import BaseRaw

log = logging.getLogger(__name__)
VERSION = 1
"""Of the steps below; a change of what they compute makes kept recordings stale."""

TAPS = 16
"""Samples on either side that an interpolated one is made of."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Preprocessing:
    """How recordings are cleaned.

    Parameters
    ----------
    rate : float
        Analysis rate (Hz).
    high_pass : float, optional
        Lower edge of the pass band (Hz).
    low_pass : float, optional
        Upper edge of the pass band (Hz), below half of ``rate``; default .4 of ``rate``.
    line : float, optional
        Line frequency (Hz), notched with its harmonics; default that of the data set.
    phase : {"zero", "causal"}
        Zero-phase filters smear a response into its past; causal ones (minimum phase) delay it.
    flat, bad_z, bad_correlation : float
        A channel is bad whose standard deviation is below ``flat`` of the channels' median or
        beyond ``bad_z`` standard deviations of the others, or whose absolute correlations with
        the others have a 98th percentile below ``bad_correlation`` (Bigdely-Shamlo et al. 2015;
        their mean would rule out a quarter of a good cap: neighbours are alike, far ones not).
    interpolate : bool
        Whether bad channels are rebuilt from their neighbours by spherical splines (Perrin et al.
        1989); else they stay as they are, but out of the average reference.
    reference : {"average", "mastoid", "none"}
    huge : float
        A sample is rejected where the root mean square over channels, each scaled by its median
        absolute deviation, exceeds this. Rejected samples do not count for the scale of a
        channel; all values are cut off at ± ``huge`` standard deviations.
    zscore : bool
        Scale every channel of a recording to mean 0 and standard deviation 1; else microvolts.
    """

    rate: float = 50.0
    high_pass: float | None = 0.5
    low_pass: float | None = None
    line: float | None = None
    phase: Literal["zero", "causal"] = "zero"
    flat: float = 1e-3
    bad_z: float = 3.0
    bad_correlation: float = 0.4
    interpolate: bool = True
    reference: Literal["average", "mastoid", "none"] = "average"
    huge: float = 10.0
    zscore: bool = True

    def __post_init__(self) -> None:
        if not (self.high_pass or 0) < self.upper_edge < self.rate / 2:
            raise ValueError(
                f"pass band {self.high_pass} to {self.upper_edge:g} Hz: expected its upper edge "
                f"above the lower one and below {self.rate / 2:g} Hz, half of the analysis rate"
            )
        for name, known in (
            ("phase", ("zero", "causal")),
            ("reference", ("average", "mastoid", "none")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)}: expected {' or '.join(known)}")

    @property
    def upper_edge(self) -> float:
        """Upper edge of the pass band (Hz)."""
        return 0.4 * self.rate if self.low_pass is None else self.low_pass


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
    positions: Array | None
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


def preprocessed(
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
        target = Path(cache) / f"{_key(files, options, details)}.npz"
        if (kept := _load(target)) is not None:
            quality = kept.quality | {"subject": subject, "recording": recording}
            return Recording(kept.values, kept.channels, kept.rate, kept.positions, quality)
    log.info("preprocessing %s of %s", recording, subject)
    raw = read()
    if montage is not None:
        raw = _placed(raw, montage, recording)
    clean = _clean(raw, options, line, listed_bad, mastoids, implicit, f"{subject}, {recording}")
    clean.quality.update({"subject": subject, "recording": recording})
    if target is not None:
        _save(target, clean)
    return clean


def _placed(raw: BaseRaw, montage: str, recording: str) -> BaseRaw:
    """The channels of a standard montage, with their positions."""
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


def _clean(
    raw: BaseRaw,
    options: Preprocessing,
    line: float | None,
    listed_bad: Sequence[str],
    mastoids: Sequence[str],
    implicit: str | None,
    name: str,
) -> Recording:
    import mne

    if "eeg" not in raw:
        raise ValueError(f"{name} has no EEG channels, but {', '.join(raw.ch_names[:8])}")
    raw = raw.load_data(verbose="ERROR").pick("eeg", exclude=[], verbose="ERROR")
    listed = {*listed_bad, *raw.info["bads"]}
    raw.info["bads"] = []
    raw, gaps = _without_gaps(raw)
    raw = _filtered(raw, options, options.line if options.line is not None else line, name)
    values = raw.get_data().T
    channels = tuple(raw.ch_names)
    found = find_bad_channels(values, options)
    bad = [c for k, c in enumerate(channels) if c in listed or k in found or gaps[k].mean() > 0.1]
    if len(bad) > len(channels) / 2:
        log.warning("%s: %d of %d channels are bad", name, len(bad), len(channels))
    positions = np.array([place["loc"][:3] for place in raw.info["chs"]])
    placed = bool(np.isfinite(positions).all() and positions.any(1).all())
    if bad and options.interpolate:
        if not placed:
            raise ValueError(
                f"{name}: {', '.join(bad)} cannot be interpolated without electrode positions: "
                "name a montage, or set interpolate=false"
            )
        if len(channels) - len(bad) < 4:
            raise ValueError(f"{name}: {len(bad)} of {len(channels)} channels are bad")
        raw.info["bads"] = bad
        with mne.utils.use_log_level("ERROR"):
            raw.interpolate_bads(reset_bads=True)
        values = raw.get_data().T
    values = _referenced(values, channels, options, bad, mastoids, implicit, name)
    nearest = np.linspace(0, gaps.shape[1] - 1, len(values)).astype(int)
    missing = np.asarray(gaps.any(axis=0))[nearest]
    values, rejected = scaled(values, missing, options)
    quality: dict[str, object] = {
        "bad_channels": bad,
        "interpolated": bool(bad) and options.interpolate,
        "rejected_seconds": round(float(rejected.sum()) / options.rate, 3),
        "seconds": round(len(values) / options.rate, 3),
    }
    return Recording(
        values.astype(np.float32), channels, options.rate, positions if placed else None, quality
    )


def _without_gaps(raw: BaseRaw) -> tuple[BaseRaw, NDArray[np.bool_]]:
    """Each channel less its median, 0 where it is not a number; and where that was."""
    import mne

    values = raw.get_data()
    gaps = ~np.isfinite(values)
    values[gaps] = np.nan
    some = ~gaps.all(1)
    values[some] -= np.nanmedian(values[some], axis=1, keepdims=True)
    values[gaps] = 0
    return mne.io.RawArray(values, raw.info, verbose="ERROR"), gaps


def _filtered(raw: BaseRaw, options: Preprocessing, line: float | None, name: str) -> BaseRaw:
    """Notch, band-pass, then resample: the stop band begins at half of the new rate."""
    rate = float(raw.info["sfreq"])
    if rate < options.rate:
        raise ValueError(f"{name} was sampled at {rate:g} Hz, below the {options.rate:g} Hz asked")
    phase = "zero" if options.phase == "zero" else "minimum"
    if line:
        harmonics = np.arange(line, rate / 2, line)
        if len(harmonics := harmonics[harmonics * (1 + 1 / 400) + 1 < rate / 2]):
            raw = raw.notch_filter(harmonics, phase=phase, verbose="ERROR")
    width = options.rate / 2 - options.upper_edge
    raw = raw.filter(
        options.high_pass, options.upper_edge, h_trans_bandwidth=width, phase=phase, verbose="ERROR"
    )
    return _resampled(raw, options)


def _resampled(raw: BaseRaw, options: Preprocessing) -> BaseRaw:
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


def _referenced(
    values: Array,
    channels: tuple[str, ...],
    options: Preprocessing,
    bad: Sequence[str],
    mastoids: Sequence[str],
    implicit: str | None,
    name: str,
) -> Array:
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


def scaled(
    values: Array, missing: NDArray[np.bool_], options: Preprocessing
) -> tuple[Array, NDArray[np.bool_]]:
    """Values with mean 0 and standard deviation 1 (or in microvolts), and rejected samples."""
    centred = np.asarray(values - np.median(values, axis=0))
    spread = 1.4826 * np.median(np.abs(centred), axis=0)
    robust = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    rejected = missing | (np.sqrt((robust**2).mean(1)) > options.huge)
    kept = values[~rejected] if not rejected.all() else values
    mean, deviation = kept.mean(0) if options.zscore else 0.0, kept.std(0)
    z = np.divide(values - mean, deviation, out=np.zeros_like(values), where=deviation > 0)
    z = z.clip(-options.huge, options.huge)
    return (z if options.zscore else 1e6 * z * deviation), rejected


def _key(files: Sequence[Path], options: Preprocessing, details: object) -> str:
    digest = hashlib.sha256(repr((VERSION, sorted(asdict(options).items()), details)).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _load(path: Path) -> Recording | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            positions = kept["positions"]
            return Recording(
                kept["values"],
                tuple(kept["channels"].tolist()),
                float(kept["rate"]),
                positions if len(positions) else None,
                json.loads(str(kept["quality"])),
            )
    except (BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        log.warning("%s cannot be read and is made anew: %s", path, error)
        return None


def _save(path: Path, recording: Recording) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(
            file,
            values=recording.values,
            channels=np.array(recording.channels),
            rate=recording.rate,
            positions=np.empty((0, 3)) if recording.positions is None else recording.positions,
            quality=json.dumps(recording.quality),
        )
    part.replace(path)
