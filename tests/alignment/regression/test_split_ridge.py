"""Ridge over splits equals scikit-learn's, one target, scan and split at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor

from alignment.inference import positive_r2
from alignment.regression.split_ridge import SplitRidge, gram, scan_predictions
from alignment.regression.splits import Splits, random_halves
from alignment.ridge import loo_ridge

ALPHAS = torch.logspace(-5, 5, 21, dtype=torch.float64)


def problem(n: int, p: int, v: int = 7, k: int = 3) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(p)
    x = rng.normal(size=(n, p)) * np.logspace(0, -1, p) + 3
    y = (x @ rng.normal(size=(p, v)) * np.linspace(1, 0, v))[..., None]
    return torch.from_numpy(x), torch.from_numpy(y + 2 * rng.normal(size=(n, v, k)) - 5)


def predictions(x: Tensor, scans: Tensor, splits: Splits, chunk: int) -> Tensor:
    """All predictions, (splits, fits, test rows, targets)."""
    ridge = SplitRidge.of(gram(x), splits.train, splits.test)
    fits = scans.shape[2] + (scans.shape[2] > 1)
    whole = torch.full((len(splits.train), fits, splits.test.shape[1], scans.shape[1]), torch.nan)
    whole = whole.double()
    for split, piece, prediction in scan_predictions(ridge, scans, ALPHAS, chunk):
        whole[split, :, :, piece] = prediction
    return whole


@pytest.mark.long
@pytest.mark.parametrize(("n", "p"), [(40, 6), (41, 19), (40, 20), (41, 120)])
@pytest.mark.parametrize("chunk", [3, 100])
def test_every_fit_is_scikit_learns(n: int, p: int, chunk: int) -> None:
    x, scans = problem(n, p)
    splits = random_halves(n, n_splits=3, seed=1)
    found = predictions(x, scans, splits, chunk)
    responses = torch.cat([scans, scans.mean(-1, keepdim=True)], -1)
    for split, (train, test) in enumerate(zip(splits.train, splits.test, strict=True)):
        for fit in range(responses.shape[-1]):
            y = responses[..., fit]
            for target in range(y.shape[1]):
                model = RidgeCV(ALPHAS.numpy()).fit(x[train].numpy(), y[train, target].numpy())
                expected = model.predict(x[test].numpy())
                got = found[split, fit, :, target].numpy()
                np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)
                r2 = positive_r2(torch.from_numpy(got)[:, None], y[test, target, None])
                ours = positive_r2(torch.from_numpy(expected)[:, None], y[test, target, None])
                assert float((r2 - ours).abs()) < 1e-10


def test_it_agrees_with_the_single_split() -> None:
    x, scans = problem(60, 25)
    splits = random_halves(60, n_splits=2)
    found = predictions(x, scans[..., :1], splits, 4)
    train, test = splits.train[1], splits.test[1]
    expected = loo_ridge(x[train], scans[train, :, 0], x[test], ALPHAS).prediction
    torch.testing.assert_close(found[1, 0], expected, rtol=1e-8, atol=1e-8)


def test_large_means_cost_no_precision() -> None:
    x, scans = problem(40, 20)
    splits = random_halves(40, n_splits=2)
    a, b = (predictions(x + shift, scans, splits, 10) for shift in (0.0, 1e4))
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_constant_features_and_responses_are_predicted_by_the_mean() -> None:
    splits = random_halves(40, n_splits=2)
    _, scans = problem(40, 3)
    flat = predictions(torch.ones(40, 5), scans, splits, 10)
    for split, train in enumerate(splits.train):
        expected = scans[train, :, 0].mean(0).expand(20, -1)
        torch.testing.assert_close(flat[split, 0], expected)
    x, _ = problem(40, 3)
    constant = predictions(x, torch.full((40, 2, 3), 4.0).double(), splits, 10)
    torch.testing.assert_close(constant, torch.full_like(constant, 4.0))


def test_the_published_halves_are_drawn() -> None:
    splits = random_halves()
    assert splits.train.shape == (10, 83)
    assert splits.test.shape == (10, 82)
    assert splits.train[0, :6].tolist() == [45, 51, 108, 7, 73, 62]
    assert int(splits.train[0].sum()) == 7304
    assert int(splits.train[9].sum()) == 6573
    for train, test in zip(splits.train, splits.test, strict=True):
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(165))
    with pytest.raises(ValueError, match="cannot be halved"):
        random_halves(3)
