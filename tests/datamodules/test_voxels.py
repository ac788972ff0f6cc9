"""Voxels in their authors' layout: joined by name, whole, and never unpickled unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.brain import boebinger2021, norman_haignere2015
from tests.datamodules.upstream import REGIONS, write_b2021, write_nh2015, write_sounds

VOXELS = 12
SUBJECTS = np.array([0, 1, 9, 0, 1, 9, 0, 1, 9, 0, 1, 9])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("natsound165")
    write_sounds(folder)
    return folder


@pytest.fixture(scope="module")
def names(root: Path) -> list[str]:
    return list(norman_haignere2015.stimuli(root).ids)


def scans(rows: int = 165, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, VOXELS, 3))


def nh2015(folder: Path, names: list[str], values: np.ndarray) -> Path:
    write_nh2015(
        folder / "NH2015", names, values, SUBJECTS, np.random.default_rng(1).permutation(165)
    )
    return folder / "NH2015"


def b2021(folder: Path, names: list[str], values: np.ndarray) -> Path:
    write_b2021(folder / "B2021", names, values, SUBJECTS)
    return folder / "B2021"


def test_rows_are_joined_by_name(root: Path, names: list[str], tmp_path: Path) -> None:
    values = scans()
    responses = norman_haignere2015.voxels(root, nh2015(tmp_path, names, values), unpickle=True)
    assert responses.scans is not None
    assert responses.scans.shape == (165, VOXELS, 3)
    np.testing.assert_allclose(responses.scans, values)
    torch.testing.assert_close(responses.values, responses.scans.mean(-1))
    assert responses.subjects == tuple(map(str, SUBJECTS))
    assert responses.regions == tuple(REGIONS[i % 4] for i in range(VOXELS))
    assert responses.folds.bincount().tolist() == [33] * 5


def test_the_longer_set_is_cut_to_the_shared_sounds(
    root: Path, names: list[str], tmp_path: Path
) -> None:
    values = scans(192)
    responses = boebinger2021.voxels(root, b2021(tmp_path, names, values), unpickle=True)
    assert responses.scans is not None
    np.testing.assert_allclose(responses.scans, values[:165])
    assert responses.subjects == tuple(map(str, SUBJECTS))


def test_other_names_are_refused(root: Path, names: list[str], tmp_path: Path) -> None:
    swapped = [names[1], names[0], *names[2:]]
    with pytest.raises(ValueError, match=f"{names[1]} where {names[0]} was expected"):
        boebinger2021.voxels(root, b2021(tmp_path, swapped, scans(192)), unpickle=True)
    renamed = [*names[:-1], "stim999_other"]
    with pytest.raises(ValueError, match=f"no response to {names[-1]}"):
        norman_haignere2015.voxels(root, nh2015(tmp_path, renamed, scans()))


def test_voxels_with_missing_scans_are_left_out(
    root: Path, names: list[str], tmp_path: Path
) -> None:
    values = scans()
    values[3, 4, 1] = np.nan
    folder = nh2015(tmp_path, names, values)
    meta = np.load(folder / "voxel_features_meta.npy")
    meta["n_reps"][7] = 2
    np.save(folder / "voxel_features_meta.npy", meta)
    responses = norman_haignere2015.voxels(root, folder)
    assert responses.targets == tuple(f"voxel_{i + 10}" for i in range(VOXELS) if i not in (4, 7))
    assert responses.regions is None
    values[0] = np.nan
    with pytest.raises(ValueError, match="no voxel has 3 scans"):
        norman_haignere2015.voxels(root, nh2015(tmp_path / "none", names, values))


def test_nothing_is_unpickled_unasked(root: Path, names: list[str], tmp_path: Path) -> None:
    folder = b2021(tmp_path, names, scans(192))
    with pytest.raises(
        ValueError, match=r"df_roi_meta\.csv, or df_roi_meta\.pkl with unpickle=true"
    ):
        boebinger2021.voxels(root, folder)
    pd.read_pickle(folder / "df_roi_meta.pkl").to_csv(folder / "df_roi_meta.csv", index=False)
    assert boebinger2021.voxels(root, folder).subjects == tuple(map(str, SUBJECTS))
    np.save(folder / "voxel_features_meta.npy", np.array([{"voxel_id": 1}], dtype=object))
    with pytest.raises(ValueError, match="holds Python objects"):
        boebinger2021.voxels(root, folder)


def test_what_is_missing_is_named(root: Path, names: list[str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no neural_stim_meta\.npy at .*authors"):
        norman_haignere2015.voxels(root, tmp_path / "NH2015")
    folder = nh2015(tmp_path, names, scans())
    np.save(folder / "voxel_features_array.npy", scans()[:, :5])
    with pytest.raises(ValueError, match=r"12 rows of voxel_features_meta\.npy, but 5 voxels"):
        norman_haignere2015.voxels(root, folder)
    np.save(folder / "voxel_features_array.npy", scans()[:, :, :2])
    with pytest.raises(ValueError, match=r"\(165, 12, 2\), expected"):
        norman_haignere2015.voxels(root, folder)
