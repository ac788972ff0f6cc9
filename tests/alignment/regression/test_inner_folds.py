"""Layer and penalty chosen on inner folds, against the same steps taken with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from alignment.regression.inner_folds import LEAST_GAIN, nested_ridge

GRID = (5.0, 10.0, 20.0)


def r2(prediction: np.ndarray, truth: np.ndarray) -> float:
    if prediction.std() < 1e-12 or truth.std() == 0:
        return 0.0
    return max(0.0, float(np.corrcoef(prediction, truth)[0, 1])) ** 2


def fitted(x: np.ndarray, y: np.ndarray, rows: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions of ``~rows`` by a model of ``rows``."""
    return Ridge(alpha, solver="svd").fit(x[rows], y[rows]).predict(x[~rows])


def literal(layers: list[np.ndarray], y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """One target's pooled predictions, every step as the protocol tells it."""
    prediction = np.empty_like(y)
    for outer in np.unique(folds):
        inside = folds != outer

        def score(layer: int, alpha: float, inside: np.ndarray = inside) -> float:
            pooled = np.empty_like(y[inside])
            names = folds[inside]
            for inner in np.unique(names):
                pooled[names == inner] = fitted(
                    layers[layer][inside], y[inside], names != inner, alpha
                )
            return r2(pooled, y[inside])

        tried = {(a, k): score(k, a) for a in GRID for k in range(len(layers))}
        while True:
            alpha, layer = max(tried, key=lambda pair: tried[pair])
            alphas = sorted({a for a, _ in tried})
            if alpha == alphas[0] and alpha > 2e-49:
                new = alpha / 2
            elif alpha == alphas[-1] and alpha < 5e49:
                new = alpha * 2
            else:
                break
            gained = score(layer, new)  # a gain that is rounding ends the search
            tried[new, layer] = gained if gained > tried[alpha, layer] + LEAST_GAIN else -1.0
        prediction[~inside] = fitted(layers[layer], y, inside, alpha)
    return prediction


def problem(n: int = 40, v: int = 6) -> tuple[list[Tensor], Tensor, Tensor]:
    rng = np.random.default_rng(3)
    layers = [rng.normal(size=(n, p)) * s + 2 for p, s in ((5, 1.0), (60, 0.3), (12, 3.0))]
    weights = [rng.normal(size=(x.shape[1], v)) for x in layers]
    y = np.stack([(layers[k % 3] @ weights[k % 3])[:, k] for k in range(v)], 1)
    y = y / y.std(0) + np.linspace(1, 3, v) * rng.normal(size=(n, v))
    folds = rng.permutation(np.arange(n) % 5)
    return [torch.from_numpy(x) for x in layers], torch.from_numpy(y), torch.from_numpy(folds)


@pytest.mark.long
@pytest.mark.parametrize("chunk", [2, 100])
def test_it_is_the_protocol_step_by_step(chunk: int) -> None:
    layers, y, folds = problem()
    found = nested_ridge(layers, y, folds, GRID, chunk)
    for target in range(y.shape[1]):
        expected = literal([x.numpy() for x in layers], y[:, target].numpy(), folds.numpy())
        np.testing.assert_allclose(found.prediction[:, target], expected, rtol=1e-6, atol=1e-7)
    assert found.layer.shape == found.alpha.shape == (5, 6)
    edges = (found.alpha < min(GRID)) | (found.alpha > max(GRID))
    assert bool(edges.any()), "the grid was never extended"


def test_the_planted_layer_is_chosen() -> None:
    layers, _, folds = problem(60)
    folds = torch.arange(60) % 5
    layers = [torch.randn(60, 10, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    y = layers[1].double() @ torch.ones(10, 4).double()
    found = nested_ridge(layers, y, folds)
    assert bool((found.layer == 1).all())


def test_constant_layers_and_responses() -> None:
    _, y, folds = problem()
    flat = nested_ridge([torch.ones(40, 3)], y, folds)
    for f in range(5):
        expected = y[folds != f].mean(0).expand(8, -1)
        torch.testing.assert_close(flat.prediction[folds == f], expected)
    constant = nested_ridge([torch.randn(40, 3)], torch.ones_like(y), folds)
    torch.testing.assert_close(constant.prediction, torch.ones_like(y))


def test_folds_must_be_equal_and_three() -> None:
    layers, y, _ = problem()
    with pytest.raises(ValueError, match="at least three"):
        nested_ridge(layers, y, torch.arange(40) % 2)
    with pytest.raises(ValueError, match="equal sizes"):
        nested_ridge(layers, y, torch.arange(40) % 3)
