"""One participant who listens to one of two talkers: EEG and the envelopes of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor

from datamodules.stimuli import Provenance, require_path
from datamodules.talkers import Trial, TwoTalkerRecording

PROVENANCE = Provenance(
    source="https://github.com/eteohx/EEG_cocktail_decoding",
    licence="none stated: not to be redistributed",
    device="EEG, 128 channels and two mastoids",
    subjects=1,
    note=(
        "low-pass filtered below 10 Hz; inferred and not stated: rate 128 Hz, BioSemi layout, "
        "part of doi:10.5061/dryad.070jc"
    ),
)
HINT = (
    f"get it from {PROVENANCE.source} (folder data) "
    "and set ENTRAIN_DATA to the folder that holds brain/cocktail_eeg"
)
RATE = 128.0
"""Samples a second of EEG and envelopes (Hz): 7680 make the 60 s of a trial."""


def recording(root: str | Path) -> TwoTalkerRecording:
    """The trials of block 1, in which the female talker was attended to.

    Envelopes of trial k are ``F_env.stim1{k}`` and ``M_env.stim1{blk1_M_Order(k)}``, counted
    from 1.

    Parameters
    ----------
    root : path
        Folder with ``1_<k>.mat``, ``F_env.mat``, ``M_env.mat`` and
        ``competing_speaker_order.mat``.
    """
    folder = require_path(Path(root), HINT)
    female, male = (_envelopes(folder / f"{talker}_env.mat") for talker in ("F", "M"))
    order = _read(folder / "competing_speaker_order.mat", "blk1_M_Order").ravel().tolist()
    files = {int(file.stem[2:]): file for file in folder.glob("1_*.mat") if file.stem[2:].isdigit()}
    if not files:
        raise FileNotFoundError(f"no 1_<k>.mat in {folder}: {HINT}")
    trials = []
    for number, file in sorted(files.items()):
        content = _load(file)
        attended = _cell(female, number, f"F_env.mat, trial {number}")
        other = int(_cell(order, number, f"competing_speaker_order.mat, trial {number}"))
        unattended = _cell(male, other, f"M_env.mat, trial {number}")
        eeg, mastoids = (_entry(content, name, file) for name in ("eeg", "mast"))
        trials.append(Trial(*(_tensor(part) for part in (eeg, mastoids, attended, unattended))))
    montage = "biosemi128" if trials[0].eeg.shape[1] == 128 else ""
    return TwoTalkerRecording(tuple(trials), RATE, PROVENANCE, montage)


def _envelopes(path: Path) -> list[np.ndarray]:
    return [np.asarray(cell).ravel() for cell in _read(path, "stim1").ravel()]


def _cell(cells: list[Any], number: int, what: str) -> Any:
    """An entry counted from 1."""
    if not 1 <= number <= len(cells):
        raise ValueError(f"{what}: asks for entry {number} of {len(cells)}, counted from 1")
    return cells[number - 1]


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype("float64"))


def _read(path: Path, name: str) -> np.ndarray:
    return _entry(_load(path), name, path)


def _load(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = loadmat(str(require_path(path, HINT)))
    return content


def _entry(content: Mapping[str, Any], name: str, path: Path) -> np.ndarray:
    if name not in content:
        raise ValueError(f"{path} has no array {name}: {HINT}")
    return np.asarray(content[name])
