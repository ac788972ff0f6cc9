"""ECoG responses to the same sounds: order, time axes, categories."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.io import loadmat

from alignment.rsa import compare, pearson, rdm, zscore
from datamodules.brain import norman_haignere2015, norman_haignere2022

pytestmark = pytest.mark.data("brain/natsound165", "brain/song_ecog2022")


@pytest.fixture(scope="module")
def sounds(data: Path) -> Path:
    return data / "brain" / "natsound165"


@pytest.fixture(scope="module")
def root(data: Path) -> Path:
    return data / "brain" / "song_ecog2022"


def test_components_are_followed_for_three_seconds(root: Path, sounds: Path) -> None:
    responses = norman_haignere2022.components(root, sounds)
    assert responses.values.shape == (165, 75, 15)
    assert responses.rate == pytest.approx(25)
    assert float(responses.times[0]) == 0
    assert float(responses.times[-1]) == pytest.approx(2.96)
    whole = responses.mean_over(0, 2)
    torch.testing.assert_close(whole, responses.values[:, :50].mean(1))


def test_electrodes_are_averaged_to_the_same_rate(root: Path, sounds: Path) -> None:
    responses = norman_haignere2022.electrodes(root, sounds)
    assert responses.values.shape == (165, 75, 33)
    assert responses.rate == pytest.approx(25)
    assert responses.targets[:2] == ("music-elec1", "music-elec2")
    file = root / "data" / "individual-electrodes" / "song-elec3-response.mat"
    raw = torch.from_numpy(loadmat(str(file))["R"])
    found = responses.values[..., responses.targets.index("song-elec3")]
    torch.testing.assert_close(found[:, 2], raw[:, 8:12].mean(1))


def test_the_order_is_that_of_the_fmri_components(root: Path, sounds: Path) -> None:
    fmri = norman_haignere2015.components(sounds)
    for target in ("speech", "music"):
        file = root / "data" / "fMRI-component-predictions" / f"{target}.mat"
        stored = torch.from_numpy(loadmat(str(file))["fmri_comp"]).ravel()
        ours = fmri.values[:, fmri.targets.index(target)]
        assert float(pearson(stored, ours)) == pytest.approx(1, abs=1e-6)


def test_similarity_to_fmri_is_the_known_one(root: Path, sounds: Path) -> None:
    fmri = rdm(zscore(norman_haignere2015.components(sounds).values))
    for read, expected in (
        (norman_haignere2022.components, 0.680),
        (norman_haignere2022.electrodes, 0.489),
    ):
        # Units are component x time, z-scored over sounds and laid side by side.
        values = read(root, sounds).values.flatten(1)
        assert float(compare(fmri, rdm(zscore(values)))) == pytest.approx(expected, abs=0.02)


def test_missing_files_say_where_to_get_them(sounds: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"song-ecog-current-biology.*ENTRAIN_DATA"):
        norman_haignere2022.components(tmp_path, sounds)
    with pytest.raises(FileNotFoundError, match=r"song-ecog-current-biology.*ENTRAIN_DATA"):
        norman_haignere2022.electrodes(tmp_path, sounds)
