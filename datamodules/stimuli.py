"""A set of sounds with names: what a model is shown when it is evaluated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.functional import resample

from datamodules.sound_files import (
    SoundFileError,
    content_digests,
    counted_samples,
    read_audio,
    resampled_length,
    unreadable,
)


def require_path(path: Path, hint: str) -> Path:
    """The path, or an error that says what is missing, where it was looked for, and ``hint``."""
    if not path.exists():
        raise FileNotFoundError(f"no {path.name} at {path}: {hint}")
    return path


@dataclass
class StimulusSet:
    """Named sounds, decoded and resampled when they are needed.

    The first two hours of them are kept in memory (0.7 GB at 24 kHz), so that a set as small as
    those of brain data is decoded once however often a model is evaluated; the rest of a large
    set is decoded in every pass.

    Parameters
    ----------
    name : str
        Two benchmarks that share sounds share one pass of the encoder over them.
    ids : sequence of str
        One name a sound; responses and labels are joined by it.
    sources : sequence of Path or of callable
        A file, or a function ``() -> (waveform [samples], sample_rate)``.
    max_seconds : float, optional
        Sounds are cut to this length.
    rms : float, optional
        If given, every sound is scaled to this root mean square level.
    kept_hours : float
        Most hours of audio that are kept in memory, over all sample rates.
    """

    name: str
    ids: Sequence[str]
    sources: Sequence[Path | Callable[[], tuple[Tensor, int]]] = field(repr=False)
    max_seconds: float | None = None
    rms: float | None = None
    kept_hours: float = 2.0
    _kept: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)
    _room: float = field(default=0.0, init=False, repr=False)
    _lengths: dict[tuple[int, int], int] = field(default_factory=dict, init=False, repr=False)
    _fingerprint: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.sources):
            raise ValueError(
                f"stimulus set {self.name}: {len(self.ids)} names but {len(self.sources)} sounds"
            )
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i in self.ids if list(self.ids).count(i) > 1)
            raise ValueError(f"stimulus set {self.name}: the name {twice} occurs more than once")
        self._room = 3600 * self.kept_hours

    def __len__(self) -> int:
        return len(self.ids)

    def waveform(self, index: int, sample_rate: int) -> Tensor:
        """Sound ``index`` as mono float32 of shape (samples,) at ``sample_rate`` Hz."""
        key = (index, sample_rate)
        if key in self._kept:
            return self._kept[key]
        waveform = self._load(index, sample_rate)
        self._lengths[key] = len(waveform)
        seconds = len(waveform) / sample_rate
        if seconds <= self._room:
            self._kept[key] = waveform
            self._room -= seconds
        return waveform

    def length(self, index: int, sample_rate: int) -> int:
        """Samples of ``waveform(index, sample_rate)``; of a file its header is read, no more."""
        key = (index, sample_rate)
        if key not in self._lengths:
            source = self.sources[index]
            counted = self._count(source) if isinstance(source, Path) else None
            if counted is None:
                return len(self.waveform(index, sample_rate))
            samples, rate = counted
            if self.max_seconds is not None:
                samples = min(samples, round(self.max_seconds * rate))
            self._lengths[key] = resampled_length(samples, rate, sample_rate)
        return self._lengths[key]

    def _load(self, index: int, sample_rate: int) -> Tensor:
        source = self.sources[index]
        waveform, rate = self._read(source) if isinstance(source, Path) else source()
        if self.max_seconds is not None:
            # A copy, so that the rest of a long sound does not stay in memory.
            waveform = waveform[: round(self.max_seconds * rate)].clone()
        waveform = resample(waveform, rate, sample_rate)
        if self.rms is not None:
            level = waveform.square().mean().sqrt().clamp_min(1e-8)
            waveform = waveform * (self.rms / level)
        return waveform

    def _read(self, path: Path) -> tuple[Tensor, int]:
        try:
            return read_audio(path)
        except SoundFileError as error:
            raise ValueError(f"stimulus set {self.name}: {unreadable(path, error)}") from error

    def _count(self, path: Path) -> tuple[int, int] | None:
        try:
            return counted_samples(path)
        except SoundFileError as error:
            raise ValueError(f"stimulus set {self.name}: {unreadable(path, error)}") from error

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, contents and preparation: equal sets have equal fingerprints."""
        return self.hashed()

    def hashed(self, advance: Callable[[], object] | None = None) -> str:
        """The fingerprint, worked out once; ``advance`` is called after every sound of it."""
        if self._fingerprint:
            return self._fingerprint
        digest = hashlib.sha256(repr((self.max_seconds, self.rms)).encode())
        of_files = content_digests([source for source in self.sources if isinstance(source, Path)])
        for name, source in zip(self.ids, self.sources, strict=True):
            digest.update(name.encode())
            if isinstance(source, Path):
                digest.update(next(of_files))
            else:
                waveform, rate = source()
                digest.update(f"{rate}".encode() + waveform.numpy().tobytes())
            if advance is not None:
                advance()
        self._fingerprint = digest.hexdigest()
        return self._fingerprint


@dataclass(frozen=True)
class Provenance:
    """Where a data set comes from; shown wherever its scores are shown."""

    source: str
    licence: str
    paper: str = ""
    device: str = ""
    subjects: int | None = None
    simulated: bool = False
    note: str = ""


@dataclass(frozen=True)
class ResponseSet:
    """Brain responses to a set of stimuli.

    Parameters
    ----------
    values : tensor of shape (stimuli, targets), float64
        Rows in stimulus order; targets are components, voxels or channels.
    targets : tuple of str
    folds : tensor of shape (stimuli,), int64
        Fold of each stimulus, 0-based.
    ceiling : tensor of shape (targets,), optional
        Squared correlation between the measured responses and the noise-free ones, where known.
    scans : tensor of shape (stimuli, targets, scans), optional
        Repeated measurements, of which ``values`` is the mean.
    subjects, regions : tuple of str, optional
        Participant and region of interest of each target, where targets are voxels.
    """

    stimuli: StimulusSet
    values: Tensor
    targets: tuple[str, ...]
    folds: Tensor
    provenance: Provenance
    ceiling: Tensor | None = None
    scans: Tensor | None = None
    subjects: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        rows = len(self.stimuli)
        for name in ("subjects", "regions"):
            known = getattr(self, name)
            if known is not None and len(known) != len(self.targets):
                raise ValueError(
                    f"responses to {self.stimuli.name}: {len(known)} {name} of "
                    f"{len(self.targets)} targets"
                )
        if self.scans is not None and self.scans.shape[:2] != self.values.shape:
            raise ValueError(
                f"responses to {self.stimuli.name}: scans {tuple(self.scans.shape)}, "
                f"but values {tuple(self.values.shape)}"
            )
        if self.values.shape != (rows, len(self.targets)) or self.folds.shape != (rows,):
            raise ValueError(
                f"responses to {self.stimuli.name}: values {tuple(self.values.shape)} and folds "
                f"{tuple(self.folds.shape)}, but {rows} stimuli and {len(self.targets)} targets"
            )
        if not torch.isfinite(self.values).all():
            bad = self.stimuli.ids[int((~torch.isfinite(self.values)).any(1).nonzero()[0])]
            raise ValueError(
                f"responses to {self.stimuli.name}: not a number at stimulus {bad}: fill it in, or "
                "leave that stimulus or target out"
            )


@dataclass(frozen=True)
class TimedResponseSet:
    """Responses that are followed over time.

    Parameters
    ----------
    values : tensor of shape (stimuli, times, targets), float64
    times : tensor of shape (times,)
        Seconds from the onset of the sound, evenly spaced.
    targets : tuple of str
    folds : tensor of shape (stimuli,), int64
    """

    stimuli: StimulusSet
    values: Tensor
    times: Tensor
    targets: tuple[str, ...]
    folds: Tensor
    provenance: Provenance

    def __post_init__(self) -> None:
        shape = (len(self.stimuli), len(self.times), len(self.targets))
        if self.values.shape != shape or self.folds.shape != shape[:1]:
            raise ValueError(
                f"responses to {self.stimuli.name}: values {tuple(self.values.shape)} and folds "
                f"{tuple(self.folds.shape)}, expected {shape} and {shape[:1]}"
            )
        if not torch.isfinite(self.values).all():
            bad = self.stimuli.ids[
                int((~torch.isfinite(self.values)).flatten(1).any(1).nonzero()[0])
            ]
            raise ValueError(
                f"responses to {self.stimuli.name}: not a number at stimulus {bad}: fill it in, or "
                "leave that stimulus or target out"
            )

    @property
    def rate(self) -> float:
        """Samples a second."""
        return (len(self.times) - 1) / float(self.times[-1] - self.times[0])

    def mean_over(self, start: float, stop: float) -> Tensor:
        """Mean response from ``start`` to before ``stop`` (s), shape (stimuli, targets)."""
        inside = (self.times >= start) & (self.times < stop)
        return self.values[:, inside].mean(1)
