"""Noise correction: simulated voxels of known signal give back the noise-free score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from alignment.inference import positive_r2
from alignment.reliability import (
    PREDICTION_FLOOR,
    RESPONSE_FLOOR,
    noise_corrected_r2,
    pair_reliability,
    reliability,
    spearman_brown,
)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_spearman_brown_doubles_and_triples() -> None:
    r = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(spearman_brown(r, 2), torch.tensor([0.0, 2 / 3, 1.0]))
    torch.testing.assert_close(spearman_brown(r, 3), torch.tensor([0.0, 0.75, 1.0]))
    # k measurements of signal variance 1 and noise variance s have r = 1 / (1 + s).
    s = torch.tensor([0.25, 1.0, 4.0])
    torch.testing.assert_close(spearman_brown(1 / (1 + s), 5), 1 / (1 + s / 5))


def test_the_reliability_is_the_median_over_pairs() -> None:
    scans = normal(0, 3, 50, 4)
    expected = [
        np.median([np.corrcoef(scans[i, :, v], scans[j, :, v])[0, 1] for i, j in pairs])
        for v in range(4)
        for pairs in [((0, 1), (0, 2), (1, 2))]
    ]
    np.testing.assert_allclose(pair_reliability(scans), expected, rtol=1e-12)


def test_identical_scans_need_no_correction() -> None:
    response = normal(0, 1, 40, 5).expand(3, -1, -1)
    prediction = (response + normal(1, 1, 40, 5)).expand(3, -1, -1)
    corrected = noise_corrected_r2(prediction, response)
    torch.testing.assert_close(corrected, positive_r2(prediction[0], response[0]))


def test_floors_hold_for_noise_nan_and_negative_reliability() -> None:
    scans = normal(0, 3, 30, 2)
    scans[1, :, 0] = -scans[0, :, 0]
    scans[2, :, 0] = -scans[0, :, 0]
    scans[:, 3, 1] = torch.nan
    assert reliability(scans, RESPONSE_FLOOR).tolist() == [RESPONSE_FLOOR] * 2
    assert reliability(torch.ones(3, 30, 1).double(), PREDICTION_FLOOR).item() == PREDICTION_FLOOR


def test_the_original_turns_strong_negative_reliability_into_a_large_one() -> None:
    r = -0.6
    base, other = normal(1, 4000), normal(2, 4000)
    scans = torch.stack([base, r * base + (1 - r * r) ** 0.5 * other])[..., None]
    scans = torch.cat([scans, scans[1:]])  # pairs: -.6, -.6, 1
    assert float(reliability(scans, 0.182, clip_negative=False)) > 5
    assert float(reliability(scans, 0.182)) == 0.182


def test_one_scan_has_no_reliability() -> None:
    with pytest.raises(ValueError, match="at least two"):
        noise_corrected_r2(normal(0, 1, 9, 2), normal(1, 1, 9, 2))


@pytest.mark.long
@pytest.mark.parametrize("snr", [0.5, 1.0, 3.0])
def test_known_noise_is_taken_out(snr: float) -> None:
    """Signal and prediction share r² = .5; both are measured with independent noise."""
    voxels, sounds, truth = 400, 2000, 0.5
    signal = normal(0, sounds, voxels)
    model = truth**0.5 * signal + (1 - truth) ** 0.5 * normal(1, sounds, voxels)
    response = signal + snr**-0.5 * normal(2, 3, sounds, voxels)
    prediction = model + 0.5 * normal(3, 3, sounds, voxels)
    raw = positive_r2(prediction.mean(0), response.mean(0)).mean()
    corrected = noise_corrected_r2(prediction, response).mean()
    assert float(raw) < 0.95 * truth
    assert float(corrected) == pytest.approx(truth, rel=0.02)
