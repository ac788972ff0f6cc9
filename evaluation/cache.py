"""Pooled features on disk, so that one encoder hears the same sounds once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from datamodules.stimuli import StimulusSet
from evaluation.features import extract
from evaluation.identity import identity
from evaluation.pooling import FRAMES, Features, Pooling, in_memory
from evaluation.processes import gather_objects, is_first_rank
from models.encoder import Encoder, StoredFeatures

log = logging.getLogger(__name__)
FORMAT = 1
"""Of the files; another one makes all that is kept stale."""
ABOUT = "about.json"
BLOCK = 2**20
STALE = 7 * 24 * 3600
"""Seconds after which a draft that nobody finished is deleted."""

Extract = Callable[..., dict[Pooling, dict[str, Features]]]
"""``extract`` of features.py whose encoder is given."""


class FeatureCache:
    """A folder with the vectors of every layer, one folder a pass and pooling.

    Its name is a SHA-256 over all that the vectors depend on (:func:`evaluation.identity.identity`,
    the sounds, the pooling, the batches, the kind of device and its settings), so that nothing
    has to be cleared when something changes; times and places of files do not count. Inside are
    ``000.npy``, ``001.npy``, … of shape (stimuli, dim), float32, and ``about.json`` with their
    checksums. Frames are not kept. The folder may be deleted at any time.

    Files are memory-mapped. What is written has another name until it is whole; what is damaged
    is thrown away with a warning and made again. Of several processes the first writes; what not
    all of them can read is made again.

    Parameters
    ----------
    folder : path
        4 bytes a number: 51,185 clips by 12 layers of 768, ``mean_std``, are 3.8 GB.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def of(self, encoder: Encoder | StoredFeatures) -> Extract:
        """:func:`evaluation.features.extract` of one encoder; only what is not kept is computed.

        The encoder is hashed here, before its first pass, and must not be trained meanwhile.
        """
        if isinstance(encoder, StoredFeatures):
            return partial(extract, encoder)
        try:
            known = identity(encoder)
        except Exception as error:  # a rank that failed here alone would leave the others waiting
            log.info("features of %s are not cached: %s", encoder.name, error)
            known = None
        return partial(self._extract, encoder, known)

    def _extract(
        self,
        encoder: Encoder,
        known: str | None,
        stimuli: StimulusSet,
        poolings: Iterable[Pooling],
        device: torch.device | str = "cpu",
        batch_seconds: float = 64.0,
        progress: Progress | None = None,
    ) -> dict[Pooling, dict[str, Features]]:
        wanted = sorted(set(poolings))
        parts = (known, stimuli.fingerprint, batch_seconds, _arithmetic(torch.device(device)))
        places = {} if known is None else self._places(repr(parts), wanted)
        found = {
            pooling: kept
            for pooling, place in places.items()
            if (kept := _load(place, encoder.layers, len(stimuli))) is not None
        }
        for others in gather_objects(set(found)):
            found = {pooling: kept for pooling, kept in found.items() if pooling in others}
        rest = [pooling for pooling in wanted if pooling not in found]
        if not rest:
            return found
        own = {p: place for p, place in places.items() if p in rest and is_first_rank()}
        drafts = _Drafts(own, encoder, stimuli)
        try:
            made = extract(encoder, stimuli, rest, device, batch_seconds, progress, drafts.allocate)
            drafts.keep()
        finally:
            drafts.discard()
        return {pooling: (found | made)[pooling] for pooling in wanted}

    def _places(self, parts: str, poolings: list[Pooling]) -> dict[Pooling, Path]:
        """Folder of each pooling that is kept, whether it is there or not."""
        marks = {p: f"{FORMAT} {parts} {p}".encode() for p in poolings if p not in FRAMES}
        return {p: self.folder / hashlib.sha256(mark).hexdigest()[:40] for p, mark in marks.items()}


class _Drafts:
    """Folders that are being written, each under another name until it is whole."""

    def __init__(
        self, places: Mapping[Pooling, Path], encoder: Encoder, stimuli: StimulusSet
    ) -> None:
        self.encoder, self.stimuli = encoder, stimuli
        self.places: dict[str, Path] = dict(places)  # type: ignore[arg-type]
        self._drafts: dict[str, Path] = {}

    def allocate(self, pooling: str, layer: str, shape: tuple[int, int]) -> Tensor:
        """An array in a file of the draft; in memory where there is no draft, or no room for it."""
        if pooling not in self.places:
            return in_memory(pooling, layer, shape)
        try:
            draft = self._draft(pooling)
            return _file(draft / _file_name(self.encoder.layers.index(layer)), shape)
        except OSError as error:
            log.warning("features of %s are not cached: %s", self.encoder.name, error)
            self._drop(pooling)
            return in_memory(pooling, layer, shape)

    def keep(self) -> None:
        """Give the drafts their names; what another process has kept meanwhile is left."""
        for pooling, draft in list(self._drafts.items()):
            try:
                self._describe(pooling, draft)
                draft.rename(self.places[pooling])
                del self._drafts[pooling]
            except OSError as error:
                if not self.places[pooling].is_dir():
                    log.warning("features of %s are not cached: %s", self.encoder.name, error)

    def discard(self) -> None:
        """Delete what was not kept."""
        for pooling in list(self._drafts):
            self._drop(pooling)

    def _draft(self, pooling: str) -> Path:
        if pooling not in self._drafts:
            place = self.places[pooling]
            place.parent.mkdir(parents=True, exist_ok=True)
            _sweep(place.parent)
            draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.draft")
            draft.mkdir()
            self._drafts[pooling] = draft
        return self._drafts[pooling]

    def _drop(self, pooling: str) -> None:
        self.places.pop(pooling, None)
        if pooling in self._drafts:
            shutil.rmtree(self._drafts.pop(pooling), ignore_errors=True)

    def _describe(self, pooling: str, draft: Path) -> None:
        layers = self.encoder.layers
        about = {
            "encoder": self.encoder.name,
            "stimuli": self.stimuli.name,
            "pooling": pooling,
            "layers": list(layers),
            "checksums": [_checksum(draft / _file_name(i)) for i in range(len(layers))],
        }
        (draft / ABOUT).write_text(json.dumps(about, indent=1))


def _sweep(folder: Path) -> None:
    """Delete drafts that a killed process left more than a week ago."""
    for draft in folder.glob(".*.draft"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > STALE:
                shutil.rmtree(draft, ignore_errors=True)


def _load(place: Path, layers: tuple[str, ...], rows: int) -> dict[str, Features] | None:
    """What is kept in a folder; none where there is no such folder, or it is damaged (logged)."""
    if not place.is_dir():
        return None
    try:
        checksums = json.loads((place / ABOUT).read_text())["checksums"]
        found = {}
        for index, layer in enumerate(layers):
            path = place / _file_name(index)
            if _checksum(path) != checksums[index]:
                raise ValueError(f"{path.name} is not what was written")
            values = np.load(path, mmap_mode="c", allow_pickle=False)
            if values.ndim != 2 or len(values) != rows or values.dtype != np.float32:
                raise ValueError(f"{path.name} holds {values.dtype} of shape {values.shape}")
            found[layer] = Features(torch.from_numpy(values))
        return found
    except Exception as error:
        _throw_away(place, error)
        return None


def _throw_away(place: Path, error: Exception) -> None:
    away = place.with_name(f".{place.name}.{secrets.token_hex(4)}.damaged")
    try:
        place.rename(away)
    except FileNotFoundError:
        return  # another process was faster, and has said so
    except OSError:
        away = place
    log.warning("cached features in %s are damaged (%s): computing them again", place, error)
    shutil.rmtree(away, ignore_errors=True)


def _file_name(index: int) -> str:
    return f"{index:03d}.npy"


def _file(path: Path, shape: tuple[int, int]) -> Tensor:
    """An array that is mapped to a new file, all of whose bytes the disk has promised."""
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk would end the process on a later write
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return torch.from_numpy(values)


def _checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return value


def _arithmetic(device: torch.device) -> tuple[object, ...]:
    """Kind of device and settings of torch on which the last bits of a feature depend."""
    cuda, torchs = device.type == "cuda", torch.backends
    # Names of torch 2.9; its older ones raise once these are set.
    places: tuple[Any, ...] = (
        torchs,
        torchs.cuda.matmul,
        torchs.cudnn.conv,  # type: ignore[attr-defined]
        torchs.mkldnn.matmul,  # type: ignore[attr-defined]
    )
    return (
        device.type,
        torch.cuda.get_device_name(device) if cuda else torchs.cpu.get_cpu_capability(),
        *(place.fp32_precision for place in places),
        torch.is_autocast_enabled(device.type),
        torch.get_autocast_dtype(device.type),
    )
