"""Voxel arrays in the layout of their authors, made here: known scans, participants, regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import soundfile

REGIONS = ("Primary", "Lateral", "Posterior", "Anterior")


def write_sounds(root: Path, seed: int = 0) -> list[str]:
    """165 short sounds and folds, as in natsound165; names in numeric order."""
    rng = np.random.default_rng(seed)
    (root / "wav").mkdir(parents=True)
    names = [f"stim{3 * i + 5}_sound{165 - i}" for i in range(165)]
    for name in names:
        soundfile.write(root / "wav" / f"{name}.wav", 0.1 * rng.normal(size=800), 8000)
    rows = "".join(f"{name},{i % 5}\n" for i, name in enumerate(names))
    (root / "folds_5x33.csv").write_text("stimulus,fold\n" + rows)
    return names


def write_nh2015(
    folder: Path, names: list[str], scans: np.ndarray, subjects: np.ndarray, order: np.ndarray
) -> None:
    """``scans`` (165, voxels, 3) in the order of ``names``; rows are stored in another one."""
    folder.mkdir(parents=True)
    voxels = scans.shape[1]
    meta = np.zeros(voxels, dtype=[("voxel_id", "i8"), ("subj_idx", "i8"), ("n_reps", "i8")])
    meta["voxel_id"], meta["subj_idx"], meta["n_reps"] = np.arange(voxels) + 10, subjects, 3
    stimuli = np.array(
        [(f"{names[i]}.wav".encode(), 0, 0, 0, b"Music") for i in order],
        dtype=[("name", "S60"), ("a", "i4"), ("b", "i4"), ("c", "i4"), ("category", "S20")],
    )
    np.save(folder / "voxel_features_array.npy", scans[order])
    np.save(folder / "voxel_features_meta.npy", meta)
    np.save(folder / "neural_stim_meta.npy", stimuli)
    write_regions(folder, meta["voxel_id"], subjects)


def write_b2021(folder: Path, names: list[str], scans: np.ndarray, subjects: np.ndarray) -> None:
    """``scans`` (192, voxels, 3), of which the first 165 rows are ``names``."""
    folder.mkdir(parents=True)
    meta = np.zeros(scans.shape[1], dtype=[("voxel_id", "i8")])
    meta["voxel_id"] = np.arange(scans.shape[1]) + 500
    np.save(folder / "voxel_features_array.npy", scans)
    np.save(folder / "voxel_features_meta.npy", meta)
    others = [f"music{i}" for i in range(len(scans) - len(names))]
    listed = np.array([f"{name}.wav" for name in [*names, *others]], dtype=object)
    scipy.io.savemat(folder / "stim_info_v4.mat", {"stim_info": {"stim_names": listed}})
    write_regions(folder, meta["voxel_id"], subjects)


def write_regions(folder: Path, ids: np.ndarray, subjects: np.ndarray) -> None:
    regions = [REGIONS[i % 4] for i in range(len(ids))]
    table = {"voxel_id": ids, "subj_idx": subjects, "roi_label_general": regions}
    pd.DataFrame(table).to_pickle(folder / "df_roi_meta.pkl")
