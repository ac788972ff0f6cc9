"""What is known of a sound file without decoding it: its content and its length."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import soundfile
import torch

ESTIMATED = ("MP3",)
"""Formats whose header may promise more samples than the file holds."""


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
    info = soundfile.info(path)
    return None if info.format in ESTIMATED else (info.frames, info.samplerate)


def resampled_length(samples: int, rate: int, new_rate: int) -> int:
    """Samples that :func:`torchaudio.functional.resample` makes of so many, rounding included."""
    if rate == new_rate:
        return samples
    # It rounds in single precision, which matters from 2²⁴ samples on.
    wanted = int(torch.as_tensor(new_rate * samples / rate, dtype=torch.float32).ceil())
    common = math.gcd(rate, new_rate)
    return min(wanted, (samples // (rate // common) + 1) * (new_rate // common))
