"""Voxel responses in the layout of Tuckute, Feather, Boebinger & McDermott 2023.

The arrays of Norman-Haignere et al. 2015 and Boebinger et al. 2021 are not public: they are had
from their authors in the layout of github.com/gretatuckute/auditory_brain_dnn, ``data/neural``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from datamodules.stimuli import require_path

HINT = (
    "voxel responses are had from their authors in the layout of "
    "https://github.com/gretatuckute/auditory_brain_dnn (data/neural): "
    "set ENTRAIN_DATA to the folder that holds brain/NH2015 and brain/B2021"
)
SCANS = 3


def load_array(path: Path) -> np.ndarray:
    """An ``.npy`` file in which nothing is executed."""
    try:
        return np.load(require_path(path, HINT), allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} holds Python objects, expected plain numbers or text") from error


def voxel_scans(folder: Path, n_sounds: int) -> tuple[Tensor, np.ndarray]:
    """Voxels with three scans and nothing missing: (sounds, voxels, 3) float64, and their rows.

    Returns
    -------
    scans : tensor
    kept : structured array
        Rows of ``voxel_features_meta.npy`` of the voxels that are kept.
    """
    values = load_array(folder / "voxel_features_array.npy")
    meta = load_array(folder / "voxel_features_meta.npy")
    if values.ndim != 3 or values.shape[0] < n_sounds or values.shape[2] < SCANS:
        raise ValueError(
            f"{folder.name}/voxel_features_array.npy is {values.shape}, expected "
            f"({n_sounds} sounds or more, voxels, {SCANS} scans)"
        )
    if len(meta) != values.shape[1]:
        raise ValueError(
            f"{folder.name}: {len(meta)} rows of voxel_features_meta.npy, "
            f"but {values.shape[1]} voxels"
        )
    values = values[:n_sounds, :, :SCANS].astype("float64")
    whole = np.isfinite(values).all((0, 2))
    names = meta.dtype.names or ()
    if "n_reps" in names:
        whole &= np.asarray(meta["n_reps"]).astype(int) >= SCANS
    if not whole.any():
        raise ValueError(f"{folder.name}: no voxel has {SCANS} scans of every sound")
    return torch.from_numpy(values[:, whole]), meta[whole]


def subjects_of(meta: np.ndarray, regions: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """Participant of each voxel, from its own row or else from the table of regions."""
    if "subj_idx" in (meta.dtype.names or ()):
        return tuple(str(int(s)) for s in np.asarray(meta["subj_idx"]).ravel())
    missing = [key for key in voxel_ids(meta) if key not in regions]
    if missing:
        raise ValueError(
            f"voxel_features_meta.npy has no subj_idx and df_roi_meta no voxel {missing[0]} "
            f"({len(missing)} missing): give df_roi_meta.csv, or df_roi_meta.pkl with unpickle=true"
        )
    return tuple(regions[key][0] for key in voxel_ids(meta))


def voxel_ids(meta: np.ndarray) -> list[str]:
    """Identity of each voxel as text."""
    return [str(int(v)) for v in np.asarray(meta["voxel_id"]).ravel()]


def region_table(folder: Path, unpickle: bool) -> dict[str, tuple[str, str]]:
    """Participant and region (Primary, Lateral, Posterior, Anterior) by voxel id.

    Read from ``df_roi_meta.csv``, or with ``unpickle`` from ``df_roi_meta.pkl``; empty without
    either. Unpickling runs whatever the file says: only for a file that you trust.
    """
    table = folder / "df_roi_meta.csv"
    if table.exists():
        with table.open() as file:
            rows: Sequence[dict[str, str]] = list(csv.DictReader(file))
    elif unpickle:
        frame = pd.read_pickle(require_path(folder / "df_roi_meta.pkl", HINT))
        rows = frame.astype(str).to_dict("records")
    else:
        return {}
    return {
        str(int(float(row["voxel_id"]))): (
            str(int(float(row["subj_idx"]))),
            "" if row["roi_label_general"] in ("nan", "None") else row["roi_label_general"],
        )
        for row in rows
    }
