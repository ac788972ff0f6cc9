"""Features that were made elsewhere, looked up by the names of the stimuli."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch
from torch import Tensor

from models.encoder import Frames

NOT_LAYERS = ("stimuli", "rate", "offset")


class Precomputed:
    """Features in an ``.npz`` file.

    ``stimuli`` (n,) holds the names; every other array is a layer, (n, dim) for one vector a
    stimulus or (n, frames, dim) with the scalar ``rate`` in Hz (and optionally ``offset``, the
    centre of frame 0 in seconds). Rows are found by name, with or without folder and extension.
    Nothing in the file is executed: object arrays are refused.

    Parameters
    ----------
    path : path
    name : str, optional
        The file's name by default.
    """

    sample_rate = 0  # no audio is needed

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        file = Path(path)
        arrays = _arrays(file)
        if "stimuli" not in arrays:
            raise ValueError(f"{file} has no array 'stimuli' with the stimulus names")
        self.name = name or file.stem
        self.path = file
        self.fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()
        self.stimuli = arrays["stimuli"].astype(str).ravel().tolist()
        if not self.stimuli:
            raise ValueError(f"{file} names no stimulus: 'stimuli' is empty")
        self._rows = _rows_by_name(file, self.stimuli)
        self.layers = tuple(key for key in arrays if key not in NOT_LAYERS)
        self._values = {layer: self._check(layer, arrays[layer]) for layer in self.layers}
        if not self.layers:
            raise ValueError(f"{file} holds stimulus names but no layer")
        framed = any(values.ndim == 3 for values in self._values.values())
        if framed and "rate" not in arrays:
            raise ValueError(f"{file} has arrays with frames but no 'rate' in Hz")
        self.rate = _scalar(file, arrays, "rate", 1.0)
        if self.rate <= 0:
            raise ValueError(f"{file}: rate is {self.rate:g} Hz, expected frames in a second")
        self.offset = _scalar(file, arrays, "offset", 0.5 / self.rate)

    def _check(self, layer: str, values: np.ndarray) -> Tensor:
        n = len(self.stimuli)
        if values.dtype.kind not in "fiub":
            raise ValueError(
                f"{self.path}: layer {layer} holds {values.dtype}, expected real numbers; "
                f"arrays that are no layers are {', '.join(NOT_LAYERS)}"
            )
        if values.ndim not in (2, 3) or len(values) != n or not values.size:
            raise ValueError(
                f"{self.path}: layer {layer} has shape {values.shape}, "
                f"expected ({n}, dim) or ({n}, frames, dim) for {n} stimuli"
            )
        if not np.isfinite(values).all():
            row = self.stimuli[int(np.argwhere(~np.isfinite(values))[0][0])]
            raise ValueError(f"{self.path}: layer {layer} is not finite at stimulus {row}")
        return torch.from_numpy(values.astype(np.float32))

    def lookup(self, names: Sequence[str]) -> dict[str, Tensor | Frames]:
        """Rows of every layer for the named stimuli: vectors (n, dim) or Frames.

        Raises
        ------
        ValueError
            Names the first stimulus that the file does not hold.
        """
        rows = torch.tensor([self._row(name) for name in names])
        found: dict[str, Tensor | Frames] = {}
        for layer, values in self._values.items():
            picked = values[rows]
            if picked.ndim == 3:
                lengths = torch.full((len(names),), picked.shape[1])
                found[layer] = Frames(picked, lengths, self.rate, self.offset)
            else:
                found[layer] = picked
        return found

    def _row(self, name: str) -> int:
        for key in (name, PurePosixPath(name).stem):
            if key in self._rows:
                return self._rows[key]
        raise ValueError(
            f"{self.path} has no features of stimulus {name} "
            f"({len(self.stimuli)} stimuli, the first is {self.stimuli[0]}): 'stimuli' must name "
            "every sound of the benchmark, with or without folder and extension"
        )


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """Every array of an archive of plain arrays."""
    if not file.is_file():
        raise FileNotFoundError(f"no features at {file}: check encoder.path")
    if not is_zipfile(file):
        raise ValueError(
            f"{file} is no readable npz: it is truncated or of another kind; expected what "
            "np.savez(FILE, stimuli=NAMES, LAYER=ARRAY) writes"
        )
    try:
        with np.load(file, allow_pickle=False) as content:
            return {key: content[key] for key in content.files}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
        said = str(error)
        if "pickle" in said:
            said = "it holds objects, which are refused; save names with dtype=str"
        raise ValueError(f"{file} is no readable npz of plain arrays: {said}") from error


def _scalar(file: Path, arrays: Mapping[str, np.ndarray], key: str, default: float) -> float:
    if key not in arrays:
        return default
    value = arrays[key]
    if value.size != 1 or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise ValueError(f"{file}: {key} is {' '.join(str(value).split())}, expected one number")
    return float(value.item())


def _rows_by_name(file: Path, stimuli: Sequence[str]) -> dict[str, int]:
    """Row of each name, and of each stem that belongs to one name only."""
    exact = {name: row for row, name in enumerate(stimuli)}
    if len(exact) != len(stimuli):
        twice = Counter(stimuli).most_common(1)[0][0]
        raise ValueError(f"{file} holds stimulus {twice} more than once")
    stems = Counter(PurePosixPath(name).stem for name in stimuli)
    by_stem = {PurePosixPath(n).stem: row for n, row in exact.items()}
    return {stem: row for stem, row in by_stem.items() if stems[stem] == 1} | exact
