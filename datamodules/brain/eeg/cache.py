"""Clean recordings on disk, named by the content of their files and the options."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording

log = logging.getLogger(__name__)
VERSION = 1
"""Of the steps of cleaning; a change of what they compute makes kept recordings stale."""


def content_key(files: Sequence[Path], options: Preprocessing, details: object) -> str:
    """Name of the clean recording: of the bytes of its files, the options, and what else counts."""
    digest = hashlib.sha256(repr((VERSION, sorted(asdict(options).items()), details)).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def load(path: Path) -> Recording | None:
    """A kept recording; none where there is no file, or one that cannot be read (logged)."""
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
        log.warning("%s cannot be read (%s): computing it again", path, error)
        return None


def save(path: Path, recording: Recording) -> None:
    """Keep a recording; whoever reads at the same time sees all of it or nothing."""
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
