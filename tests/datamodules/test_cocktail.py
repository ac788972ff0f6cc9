"""The two-talker recording: envelopes meet their trial, indices count from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from datamodules.brain.cocktail import PROVENANCE, recording

TRIALS, SAMPLES, CHANNELS = 3, 40, 6


def write_cocktail(
    folder: Path, eeg: np.ndarray, attended: np.ndarray, unattended: np.ndarray
) -> None:
    """Trials (trials, t, channels) and (trials, t) as upstream: envelopes in cells, the other
    talker's in another order, counted from 1."""
    trials = len(eeg)
    order = trials + np.arange(trials)[::-1] + 1
    female, male = (np.empty((1, 2 * trials), dtype=object) for _ in range(2))
    for number in range(2 * trials):
        female[0, number] = male[0, number] = np.zeros((eeg.shape[1], 1))
    for k in range(trials):
        female[0, k] = attended[k][:, None]
        male[0, order[k] - 1] = unattended[k][:, None]
        content = {"eeg": eeg[k].astype("f4"), "mast": np.zeros((eeg.shape[1], 2), "f4")}
        scipy.io.savemat(folder / f"1_{k + 1}.mat", content)
    scipy.io.savemat(folder / "F_env.mat", {"stim1": female})
    scipy.io.savemat(folder / "M_env.mat", {"stim1": male})
    orders = {"blk1_M_Order": order[None].astype(np.uint8)}
    scipy.io.savemat(folder / "competing_speaker_order.mat", orders)


@pytest.fixture
def parts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "eeg": rng.normal(size=(TRIALS, SAMPLES, CHANNELS)),
        "attended": rng.normal(size=(TRIALS, SAMPLES)),
        "unattended": rng.normal(size=(TRIALS, SAMPLES)),
    }


def test_envelopes_meet_their_trial(tmp_path: Path, parts: dict[str, np.ndarray]) -> None:
    write_cocktail(tmp_path, **parts)
    found = recording(tmp_path)
    assert len(found.trials) == TRIALS
    assert found.rate == 128
    assert found.provenance == PROVENANCE
    assert found.montage == ""
    for k, trial in enumerate(found.trials):
        for name in ("attended", "unattended"):
            assert np.array_equal(getattr(trial, name).numpy(), parts[name][k])
        np.testing.assert_allclose(trial.eeg.numpy(), parts["eeg"][k], rtol=1e-6)
        assert trial.mastoids.shape == (SAMPLES, 2)
        assert trial.eeg.dtype == torch.float64


def test_trials_are_in_the_order_of_their_numbers(
    tmp_path: Path, parts: dict[str, np.ndarray]
) -> None:
    many = {name: np.tile(values, (4, *[1] * (values.ndim - 1))) for name, values in parts.items()}
    many["attended"] = np.arange(12.0)[:, None] + many["attended"] * 0
    write_cocktail(tmp_path, **many)
    (tmp_path / "1_notes.mat").write_bytes(b"")
    assert [float(t.attended[0]) for t in recording(tmp_path).trials] == list(range(12))


def test_what_is_missing_or_wrong_is_said_in_one_line(
    tmp_path: Path, parts: dict[str, np.ndarray]
) -> None:
    with pytest.raises(FileNotFoundError, match=r"EEG_cocktail_decoding.*ENTRAIN_DATA"):
        recording(tmp_path / "nowhere")
    write_cocktail(tmp_path, **parts)
    order = np.array([[0, 1, 2]], dtype=np.uint8)  # counted from 0
    scipy.io.savemat(tmp_path / "competing_speaker_order.mat", {"blk1_M_Order": order})
    with pytest.raises(ValueError, match=r"M_env.mat, trial 1: asks for entry 0 of \d+, counted"):
        recording(tmp_path)
    write_cocktail(tmp_path, **parts | {"attended": parts["attended"][:, :-1]})
    with pytest.raises(ValueError, match=r"trial 1 has samples 40 of eeg, .* 39 of attended"):
        recording(tmp_path)
    write_cocktail(tmp_path, **parts | {"eeg": parts["eeg"] * np.nan})
    with pytest.raises(ValueError, match="trial 1: eeg holds values that are not a number"):
        recording(tmp_path)
    scipy.io.savemat(tmp_path / "1_2.mat", {"eeg": parts["eeg"][1]})
    with pytest.raises(ValueError, match=r"1_2\.mat has no array mast"):
        recording(tmp_path)
    (tmp_path / "M_env.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"no M_env\.mat at .*ENTRAIN_DATA"):
        recording(tmp_path)
    for file in tmp_path.glob("1_*.mat"):
        file.unlink()
    write_cocktail(tmp_path, **{name: values[:0] for name, values in parts.items()})
    with pytest.raises(FileNotFoundError, match=r"no 1_<k>\.mat"):
        recording(tmp_path)


@pytest.mark.data("brain/cocktail_eeg")
def test_the_recording_itself(data: Path) -> None:
    root = data / "brain" / "cocktail_eeg"
    found = recording(root)
    assert len(found.trials) == 5
    assert found.montage == "biosemi128"
    assert found.provenance.subjects == 1
    male = scipy.io.loadmat(str(root / "M_env.mat"))["stim1"][0]
    for trial, number in zip(found.trials, (26, 23, 36, 31, 27), strict=True):
        assert trial.eeg.shape == (7680, 128)
        assert trial.mastoids.shape == (7680, 2)
        assert np.array_equal(trial.unattended.numpy(), male[number - 1].ravel())
        assert float(trial.attended.min()) > -0.02
