"""Delays: the planted one wins, and every fit is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from torch import Tensor

from alignment.inference import positive_r2
from alignment.lags import lag_curve, principal_components

S, T, K, V, REACH = 20, 30, 4, 3, 6
FOLDS = torch.arange(S) % 5


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def delayed(x: Tensor, lag: int, noise: float) -> Tensor:
    y = noise * normal(9, S, T + REACH, V)
    y[:, lag : lag + T] += x @ normal(8, K, V)
    return y


@pytest.mark.parametrize("lag", [0, 2, 6])
def test_the_planted_delay_wins(lag: int) -> None:
    x = normal(0, S, T, K)
    curve = lag_curve(x, delayed(x, lag, 0.2), FOLDS, range(REACH + 1), torch.logspace(-2, 3, 6))
    assert curve.shape == (REACH + 1, V)
    assert curve.mean(1).argmax().item() == lag
    others = [k for k in range(REACH + 1) if k != lag]
    assert float(curve[others].max()) < 0.1 < 0.7 < float(curve[lag].min())


def test_a_clock_explains_nothing() -> None:
    """Features that only know the time since onset, and responses with an evoked course."""
    clock = normal(0, 1, T, K).expand(S, T, K)
    y = 0.5 * normal(1, S, T + REACH, V) + 3 * normal(2, 1, T + REACH, V)
    alphas = torch.logspace(-2, 3, 6)
    assert float(lag_curve(clock + 0.0, y, FOLDS, range(3), alphas).max()) == 0
    x = normal(3, S, T, K)
    y[:, 1 : 1 + T] += x @ normal(8, K, V)
    assert float(lag_curve(x + clock, y, FOLDS, [1], alphas).min()) > 0.5


def test_noise_explains_nothing() -> None:
    x = normal(0, S, T, K)
    y = normal(1, S, T + REACH, V)
    assert float(lag_curve(x, y, FOLDS, range(3), torch.logspace(-2, 3, 6)).max()) < 0.02


def test_fits_are_scikit_learns() -> None:
    x, alphas = normal(0, S, T, K) + 3, np.logspace(-1, 4, 6)
    x = x / x.std((0, 1)).square().mean().sqrt()
    y = delayed(x, 1, 4.0)
    found = lag_curve(x, y, FOLDS, [1], torch.from_numpy(alphas))[0]
    y = y[:, 1 : 1 + T]
    pooled, truth = torch.empty_like(y), torch.empty_like(y)

    def tables(train: Tensor, which: Tensor) -> list[np.ndarray]:
        return [(z[which] - z[train].mean(0)).flatten(0, 1).numpy() for z in (x, y)]

    def fitted(train: Tensor, alpha: float, target: int) -> Ridge:
        a, b = tables(train, train)
        return Ridge(alpha, fit_intercept=False).fit(a, b[:, target])

    for outer in range(5):
        for target in range(V):
            errors = []
            for alpha in alphas:
                total = 0.0
                for inner in (f for f in range(5) if f != outer):
                    train = (outer != FOLDS) & (inner != FOLDS)
                    a, b = tables(train, inner == FOLDS)
                    total += np.sum((fitted(train, alpha, target).predict(a) - b[:, target]) ** 2)
                errors.append(total)
            own = outer == FOLDS
            a, b = tables(~own, own)
            found_here = fitted(~own, alphas[int(np.argmin(errors))], target).predict(a)
            pooled[own, :, target] = torch.from_numpy(found_here).view(-1, T)
            truth[own, :, target] = torch.from_numpy(b[:, target]).view(-1, T)
    expected = positive_r2(pooled.flatten(0, 1), truth.flatten(0, 1))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_components_are_principal() -> None:
    x = normal(0, S, T, 10) @ normal(1, 10, 10)
    found = principal_components(x, 3).flatten(0, 1)
    expected = PCA(3).fit_transform(x.flatten(0, 1).numpy())
    torch.testing.assert_close(found.abs(), torch.from_numpy(expected).abs(), rtol=1e-8, atol=1e-8)
    assert principal_components(x, 99).shape == (S, T, 10)
    assert principal_components(x[..., :1].expand(-1, -1, 4), 4).shape == (S, T, 1)


def test_many_features_are_reduced_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(0, S, T, 12) @ (normal(1, 12, 200) * torch.logspace(0, -2, 12)[:, None])
    exact = principal_components(x, 5)
    monkeypatch.setattr("alignment.lags.EXACT", 100)
    found = principal_components(x, 5)
    torch.testing.assert_close(found.abs(), exact.abs(), rtol=1e-6, atol=1e-6)
    assert torch.equal(found, principal_components(x, 5))


def test_a_response_that_ends_too_soon() -> None:
    with pytest.raises(ValueError, match="need 31 frames of response to 30"):
        lag_curve(normal(0, S, T, K), normal(1, S, T, V), FOLDS, [0, 1], torch.ones(1))
