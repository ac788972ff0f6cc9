"""Files of recordings: which belong together, how they are read, what BIDS says of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from datamodules.brain.eeg.cleaning import preprocess
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording

if TYPE_CHECKING:
    from mne.io import BaseRaw


def listed_bad(path: Path) -> list[str]:
    """Channels that ``<recording>_channels.tsv`` of BIDS calls bad; none where there is none."""
    table = sidecar(path, "channels.tsv")
    if not table.is_file():
        return []
    rows = pd.read_csv(table, sep="\t", dtype=str, encoding="utf-8-sig")
    if "status" not in rows or "name" not in rows:
        return []
    return rows["name"][rows["status"].str.strip() == "bad"].tolist()


def parts(path: Path) -> list[Path]:
    """All files that hold a recording: BrainVision has three, some formats a folder."""
    if path.is_dir():
        return sorted(inside for inside in path.rglob("*") if inside.is_file())
    endings = {".vhdr": (".eeg", ".vmrk", ".dat"), ".set": (".fdt",)}.get(path.suffix.lower(), ())
    return [path, *(p for ending in endings if (p := path.with_suffix(ending)).is_file())]


def read_raw(path: Path) -> BaseRaw:
    """A recording in memory, in volts."""
    import mne

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This filename .* does not conform", RuntimeWarning)
        return mne.io.read_raw(path, preload=True, verbose="ERROR")


def stem(path: Path) -> str:
    """Name of a recording without its ending and ``_eeg`` or ``_raw``."""
    return re.sub(r"[_-](eeg|raw)$", "", path.name.removesuffix(path.suffix))


def sidecar(path: Path, ending: str) -> Path:
    """File that belongs to a recording, such as ``<recording>_channels.tsv``."""
    return path.with_name(f"{stem(path)}_{ending}")


def preprocess_file(
    path: Path,
    subject: str,
    options: Preprocessing,
    cache: str | Path | None = None,
    *,
    read: Callable[[Path], BaseRaw] = read_raw,
    line: float | None = None,
    listed_bad: Sequence[str] = (),
    mastoids: Sequence[str] = (),
    implicit: str | None = None,
    montage: str | None = None,
) -> Recording:
    """A recording file after all steps, under its own name.

    Parameters
    ----------
    read : callable
        Reads the file, in volts; the other parameters are those of
        :func:`datamodules.brain.eeg.cleaning.preprocessed`.
    """
    return preprocess(
        parts(path),
        partial(read, path),
        options,
        subject=subject,
        recording=path.name,
        line=line,
        listed_bad=listed_bad,
        mastoids=mastoids,
        implicit=implicit,
        montage=montage,
        cache=cache,
    )
