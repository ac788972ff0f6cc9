"""Banded ridge against scikit-learn on weighted columns, and on responses of known make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from alignment.inference import positive_r2
from alignment.regression.banded_ridge import banded_ridge, candidate_weights
from alignment.ridge import crossvalidated_prediction
from tests.alignment.test_inference import noise

FOLDS = torch.arange(60) % 5
GRID = torch.tensor([1e-2, 1.0, 1e2], dtype=torch.float64)


def literal(bands: list[np.ndarray], y: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """One target's held-out prediction, every candidate and penalty refitted row by row."""
    scaled = []
    for x in bands:
        x = x - x.mean(0)
        scaled.append(x / np.sqrt(np.square(x).sum(1).mean()))
    prediction = np.empty_like(y)
    for fold in range(5):
        inside = FOLDS.numpy() != fold
        best = np.inf
        for gamma in candidates:
            x = np.concatenate([g**0.5 * b for g, b in zip(gamma, scaled, strict=True)], 1)
            for alpha in GRID.tolist():
                model = Ridge(alpha, solver="cholesky")
                left = cross_val_predict(model, x[inside], y[inside], cv=LeaveOneOut())
                error = np.square(left - y[inside]).sum()
                if error < best * (1 - 1e-12):
                    best = error
                    prediction[~inside] = model.fit(x[inside], y[inside]).predict(x[~inside])
    return prediction


@pytest.mark.long
def test_it_is_ridge_on_weighted_columns() -> None:
    bands = [noise(60, 3), 10 * noise(60, 70, seed=1)]
    y = bands[0][:, :1] + 0.3 * bands[1][:, :1] + noise(60, 1, seed=2)
    weights = candidate_weights(2, 2)
    got = banded_ridge(bands, y, FOLDS, GRID, n_candidates=2)
    arrays = [b.numpy() for b in bands]
    joint, *alone = (
        torch.from_numpy(literal(arrays, y[:, 0].numpy(), w.numpy()))[:, None]
        for w in (weights, weights[:1], weights[1:2])
    )
    torch.testing.assert_close(got.joint, positive_r2(joint, y), rtol=0, atol=1e-9)
    for band in range(2):
        expected = positive_r2(alone[band], y)
        torch.testing.assert_close(got.alone[band], expected, rtol=0, atol=1e-9)
        # With two bands, the model without one is the other one alone.
        other = positive_r2(alone[1 - band], y)
        torch.testing.assert_close(got.added[band], got.joint - other, rtol=0, atol=1e-9)


@pytest.mark.long
def test_each_band_gets_what_it_gave() -> None:
    """Two independent sources, one of them in two bands, and a band of noise."""
    first, second = noise(300, 5), noise(300, 5, seed=1)
    bands = [first, second, second + 0.1 * noise(300, 5, seed=2), noise(300, 5, seed=3)]
    w, u = (torch.nn.functional.normalize(noise(5, 4, seed=s), dim=0) for s in (4, 5))
    y = first @ w + second @ u + 0.5 * noise(300, 4, seed=6)
    got = banded_ridge(bands, y, torch.arange(300) % 5, torch.logspace(-4, 4, 9), 10)
    assert (got.joint > 0.8).all()
    lone = positive_r2(first @ torch.linalg.lstsq(first, y).solution, y)
    torch.testing.assert_close(got.alone[0], lone, rtol=0, atol=0.05)
    assert (got.added[0] > 0.15).all()
    # What two bands hold in common is added by neither.
    assert got.added[1:].abs().max() < 0.03
    torch.testing.assert_close(got.share.sum(0), got.joint)
    torch.testing.assert_close(got.share[1] + got.share[2], got.joint - lone, rtol=0, atol=0.1)
    assert got.share[3].abs().max() < 0.02


def test_one_band_is_plain_ridge() -> None:
    x, y = noise(60, 100), noise(60, 3, seed=1)
    y[:, 0] += x[:, 0]
    alphas = torch.logspace(-9, 9, 19, dtype=torch.float64)
    got = banded_ridge([x], y, FOLDS, alphas)
    x = x - x.mean(0)
    x = x / x.square().sum(1).mean().sqrt()
    plain = positive_r2(crossvalidated_prediction(x, y, FOLDS, alphas), y)
    for scores in (got.joint, got.alone[0], got.added[0], got.share[0]):
        torch.testing.assert_close(scores, plain, rtol=0, atol=1e-9)


@pytest.mark.long
def test_noise_and_constant_bands_add_nothing() -> None:
    bands = [torch.ones(60, 4, dtype=torch.float64), noise(60, 8), noise(60, 90, seed=1)]
    got = banded_ridge(bands, noise(60, 5, seed=2), FOLDS, torch.logspace(-9, 9, 19))
    assert got.joint.mean() < 0.06
    assert got.added.mean(1).abs().max() < 0.06
    assert (got.alone[0] == 0).all()


def test_candidates_sum_to_one_and_leave_each_band_out() -> None:
    weights = candidate_weights(4, 6)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights), dtype=torch.float64))
    assert weights[:4].equal(torch.eye(4, dtype=torch.float64))
    missing = (weights == 0).sum(0)
    assert missing.tolist() == [3 + 7] * 4
    assert candidate_weights(1, 6).tolist() == [[1.0]]


def test_unequal_folds_say_so() -> None:
    with pytest.raises(ValueError, match=r"folds of \[2, 1\] rows"):
        banded_ridge([noise(3, 2)], noise(3, 1), torch.tensor([0, 0, 1]), GRID)
