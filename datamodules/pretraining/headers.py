"""Length of every audio file of a collection, read once and remembered."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from datamodules.progress import progress
from datamodules.sound_files import read_info

THREADS = 16


@dataclass(frozen=True)
class Header:
    """What is known of a file without decoding it; ``error`` is empty where it can be read.

    Parameters
    ----------
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change (ns).
    seconds : float
        Duration; 0 where the header cannot be read.
    """

    path: str
    size: int
    mtime_ns: int
    seconds: float
    error: str = ""


def scan(
    paths: Sequence[Path], known_seconds: Sequence[float | None], cache: Path | None
) -> list[Header]:
    """Headers of files, in order; only new and changed files are opened.

    Parameters
    ----------
    known_seconds : sequence of float or None, length len(paths)
        Durations (s) that a manifest gives; such a file is not opened, only looked up.
    cache : Path, optional
        CSV file to remember headers in, keyed by path, size and time of the last change.
    """
    remembered = _load(cache)

    def header(item: tuple[Path, float | None]) -> Header:
        path, seconds = item
        try:
            stat = path.stat()
        except OSError as error:
            return Header(str(path), 0, 0, 0.0, error.strerror or str(error))
        if seconds is not None:
            return Header(str(path), stat.st_size, stat.st_mtime_ns, seconds)
        found = remembered.get(str(path))
        if found and (found.size, found.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            return found
        return _open(path, stat.st_size, stat.st_mtime_ns)

    with ThreadPoolExecutor(THREADS) as pool:
        items = zip(paths, known_seconds, strict=True)
        headers = list(progress(pool.map(header, items), "Reading audio headers", len(paths)))
    fresh = {
        found.path: found
        for found, seconds in zip(headers, known_seconds, strict=True)
        if seconds is None and found.size and remembered.get(found.path) != found
    }
    if cache is not None and fresh:
        _save(cache, remembered | fresh)
    return headers


def _open(path: Path, size: int, mtime_ns: int) -> Header:
    try:
        info = read_info(path)
    except (OSError, RuntimeError, ValueError) as error:
        return Header(str(path), size, mtime_ns, 0.0, " ".join(str(error).split()))
    return Header(str(path), size, mtime_ns, info.seconds)


def _load(cache: Path | None) -> dict[str, Header]:
    if cache is None or not cache.exists():
        return {}
    headers = {}
    with cache.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            # a row that a newer or older version wrote is read again instead
            if len(row) == 5:
                path, size, mtime_ns, seconds, error = row
                headers[path] = Header(path, int(size), int(mtime_ns), float(seconds), error)
    return headers


def _save(cache: Path, headers: dict[str, Header]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    # whoever reads meanwhile sees the old file or the new one, never half of it
    partial = cache.with_name(f"{cache.name}.{os.getpid()}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(astuple(headers[path]) for path in sorted(headers))
    os.replace(partial, cache)
