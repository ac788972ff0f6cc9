"""The one place where sound files are opened: decoding, headers, lengths and content."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import soundfile
import torch
from torch import Tensor

ESTIMATED = ("MP3",)
"""Formats whose header may promise more samples than the file holds."""
LEAD_IN = {"MP3": 12_000}
"""Samples to decode and drop first: MP3 frames keep bits in frames before them, and without these
the first 0.2 s after a jump are wrong by up to full scale (8,820 were enough at any rate)."""
SoundFileError = soundfile.SoundFileError


@dataclass(frozen=True)
class SoundInfo:
    """What the header of a sound file says: samples of a channel, rate (Hz) and format."""

    frames: int
    rate: int
    format: str

    @property
    def seconds(self) -> float:
        """Length (s)."""
        return self.frames / self.rate


def open_sound(path: str | Path) -> soundfile.SoundFile:
    """An open sound file, of any format that libsndfile knows.

    Raises
    ------
    SoundFileError
        If it cannot be decoded.
    """
    return soundfile.SoundFile(path)


def read_info(path: str | Path) -> SoundInfo:
    """The header of a sound file; nothing is decoded."""
    with open_sound(path) as file:
        return SoundInfo(file.frames, file.samplerate, file.format)


def read_audio(path: Path, start: int = 0, frames: int = -1) -> tuple[Tensor, int]:
    """Decode a file (or a part of it, in samples) to mono float32.

    Returns
    -------
    waveform : tensor of shape (samples,)
        Mean over channels, in [-1, 1].
    sample_rate : int
        The file's own rate (Hz).
    """
    with open_sound(path) as file:
        if start:
            file.seek(min(start, file.frames))
        samples = file.read(frames, dtype="float32", always_2d=True)
        return torch.from_numpy(samples).mean(dim=1), file.samplerate


def read_span(path: str | Path, start: float, seconds: float) -> tuple[Tensor, int]:
    """Decode a part of a file (s) to mono float32, as :func:`read_audio` does.

    What a compressed format needs to hear before the first sample is decoded too, and dropped.
    """
    with open_sound(path) as file:
        first = round(start * file.samplerate)
        lead_in = min(first, LEAD_IN.get(file.format, 0))
        file.seek(first - lead_in)
        frames = lead_in + round(seconds * file.samplerate)
        samples = file.read(frames, dtype="float32", always_2d=True)
        return torch.from_numpy(samples[lead_in:]).mean(dim=1), file.samplerate


def unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file that cannot be decoded, and the mend."""
    why = str(error).rsplit(": ", 1)[-1].rstrip(".")
    return f"{path} cannot be read ({why}): convert it to wav or flac, or leave it out"


def check_readable(path: Path) -> None:
    """Raise where a file has no header of a sound, or no samples; the sound is not decoded."""
    try:
        frames = read_info(path).frames
    except SoundFileError as error:
        raise ValueError(unreadable(path, error)) from error
    if not frames:
        raise ValueError(f"{path} holds no samples: leave it out")


# ---- content and length --------------------------------------------------------------------------

THREADS = 16
"""Files read at once; hashing waits for the disk, and leaves the interpreter to others."""


def content_digests(paths: Sequence[Path]) -> Iterator[bytes]:
    """:func:`content_digest` of every file, in order."""
    if len(paths) < 2:
        yield from map(content_digest, paths)
        return
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(content_digest, paths)


def content_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes; read again only where its size or time of change is another."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(path: Path, size: int, mtime_ns: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def counted_samples(path: Path) -> tuple[int, int] | None:
    """Samples and rate (Hz) by the header; None where only decoding tells how many there are."""
    info = read_info(path)
    return None if info.format in ESTIMATED else (info.frames, info.rate)


def resampled_length(samples: int, rate: int, new_rate: int) -> int:
    """Samples that :func:`torchaudio.functional.resample` makes of so many, rounding included."""
    if rate == new_rate:
        return samples
    # It rounds in single precision, which matters from 2²⁴ samples on.
    wanted = int(torch.as_tensor(new_rate * samples / rate, dtype=torch.float32).ceil())
    common = math.gcd(rate, new_rate)
    return min(wanted, (samples // (rate // common) + 1) * (new_rate // common))
