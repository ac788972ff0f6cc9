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


def test_noise_explains_nothing() -> None:
    x = normal(0, S, T, K)
    y = normal(1, S, T + REACH, V)
    assert float(lag_curve(x, y, FOLDS, range(3), torch.logspace(-2, 3, 6)).max()) < 0.02


def test_fits_are_scikit_learns() -> None:
    x, alphas = normal(0, S, T, K) + 3, np.logspace(-1, 4, 6)
    x = x / x.std((0, 1)).square().mean().sqrt()
    y = delayed(x, 1, 4.0)
    found = lag_curve(x, y, FOLDS, [1], torch.from_numpy(alphas))[0]
    rows, truth = x.flatten(0, 1).numpy(), y[:, 1 : 1 + T].flatten(0, 1).numpy()
    owner = FOLDS.repeat_interleave(T).numpy()
    pooled = np.empty_like(truth)
    for outer in range(5):
        for target in range(V):
            inside = owner != outer
            errors = [
                sum(
                    np.sum(
                        (
                            Ridge(a)
                            .fit(
                                rows[inside & (owner != inner)],
                                truth[inside & (owner != inner), target],
                            )
                            .predict(rows[owner == inner])
                            - truth[owner == inner, target]
                        )
                        ** 2
                    )
                    for inner in range(5)
                    if inner != outer
                )
                for a in alphas
            ]
            model = Ridge(alphas[int(np.argmin(errors))]).fit(rows[inside], truth[inside, target])
            pooled[~inside, target] = model.predict(rows[~inside])
    expected = positive_r2(torch.from_numpy(pooled), torch.from_numpy(truth))
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
