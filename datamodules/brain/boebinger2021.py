"""Boebinger, Norman-Haignere, McDermott & Kanwisher 2021: fMRI responses to natural sounds."""

from __future__ import annotations

from pathlib import Path

from scipy.io import loadmat

from datamodules.brain.auditory_brain_dnn import (
    HINT,
    region_table,
    subjects_of,
    voxel_ids,
    voxel_scans,
)
from datamodules.brain.norman_haignere2015 import folds, stimuli, stimulus_number
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet, require_path

PROVENANCE = Provenance(
    source="https://github.com/gretatuckute/auditory_brain_dnn",
    paper="doi:10.1152/jn.00588.2020",
    licence="had from the authors: not to be redistributed",
    device="fMRI",
    subjects=20,
)


def voxels(
    root: str | Path,
    arrays: str | Path,
    rms: float | None = None,
    unpickle: bool = False,
) -> ResponseSet:
    """Voxels with three scans (26,792 of 20 participants) to the 165 sounds shared with 2015.

    The measured set has 192 sounds, of which the first 165 are those of Norman-Haignere et al.
    2015 in the same order; names are checked.

    Parameters
    ----------
    root : path
        Folder of the sounds and folds of Norman-Haignere et al. 2015.
    arrays : path
        Folder with ``voxel_features_array.npy``, ``voxel_features_meta.npy``,
        ``stim_info_v4.mat`` and, for participants and regions, ``df_roi_meta.csv`` or ``.pkl``.
    unpickle : bool
        Read ``df_roi_meta.pkl``: unpickling executes what the file says.
    """
    sounds, folder = stimuli(root, rms), Path(arrays)
    _check_names(folder, sounds)
    scans, meta = voxel_scans(folder, len(sounds))
    regions = region_table(folder, unpickle)
    ids = voxel_ids(meta)
    return ResponseSet(
        sounds,
        scans.mean(-1),
        tuple(f"voxel_{key}" for key in ids),
        folds(root, sounds),
        PROVENANCE,
        scans=scans,
        subjects=subjects_of(meta, regions),
        regions=tuple(regions.get(key, ("", ""))[1] for key in ids) if regions else None,
    )


def _check_names(folder: Path, sounds: StimulusSet) -> None:
    content = loadmat(str(require_path(folder / "stim_info_v4.mat", HINT)), simplify_cells=True)
    info = content.get("stim_info", content)
    if "stim_names" not in info:
        raise ValueError(f"{folder.name}/stim_info_v4.mat has no stim_names")
    names = [str(name).removesuffix(".wav") for name in info["stim_names"]][: len(sounds)]
    if names != list(sounds.ids):
        pairs = zip(names, sounds.ids, strict=False)
        got, expected = next((p for p in pairs if p[0] != p[1]), (f"{len(names)} names", "165"))
        raise ValueError(
            f"{folder.name}/stim_info_v4.mat: {got} where {expected} was expected "
            f"(order of the stimulus numbers, up to {stimulus_number(sounds.ids[-1])})"
        )
