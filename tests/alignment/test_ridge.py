"""Ridge with a leave-one-out penalty, against scikit-learn and against honest refits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV
from torch import Tensor

from alignment.ridge import loo_ridge, penalties

ALPHAS = torch.logspace(-3, 4, 29, dtype=torch.float64)
SHAPES = [(40, 8), (40, 38), (40, 39), (40, 40), (40, 41), (25, 120)]


def problem(n: int, p: int, targets: int = 6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features with unequal scales and an offset; targets from pure signal to pure noise."""
    rng = np.random.default_rng(seed)
    scale = np.logspace(0, -1, p)
    x, x_test = (rng.normal(size=(rows, p)) * scale + 3 for rows in (n, 10))
    y = x @ rng.normal(size=(p, targets)) * np.linspace(1, 0, targets)
    y = y + 0.7 * rng.normal(size=(n, targets)) - 5
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(x_test)


def test_penalties_are_even_in_their_logarithm() -> None:
    found = penalties([-2, 1, 7.0])
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, np.geomspace(0.01, 10, 7), rtol=1e-12)


def refitted_loo(x: Tensor, y: Tensor, alpha: float) -> np.ndarray:
    """Mean squared error of each target when every row is left out in turn."""
    errors = []
    for row in range(len(x)):
        kept = np.arange(len(x)) != row
        model = Ridge(alpha, solver="cholesky").fit(x[kept].numpy(), y[kept].numpy())
        errors.append((model.predict(x[row : row + 1].numpy())[0] - y[row].numpy()) ** 2)
    return np.mean(errors, 0)


def refitted_prediction(x: Tensor, y: Tensor, x_test: Tensor, alpha: Tensor) -> Tensor:
    columns = [
        Ridge(float(a), solver="cholesky").fit(x.numpy(), y[:, i].numpy()).predict(x_test.numpy())
        for i, a in enumerate(alpha)
    ]
    return torch.from_numpy(np.stack(columns, 1))


def assert_agrees_with_refits(x: Tensor, y: Tensor, x_test: Tensor, alphas: Tensor) -> None:
    fit = loo_ridge(x, y, x_test, alphas)
    errors = np.stack([refitted_loo(x, y, float(alpha)) for alpha in alphas])
    chosen = np.stack([errors[(alphas == a).nonzero()[0, 0], i] for i, a in enumerate(fit.alpha)])
    np.testing.assert_allclose(chosen, errors.min(0), rtol=1e-8)
    expected = refitted_prediction(x, y, x_test, fit.alpha)
    torch.testing.assert_close(fit.prediction, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_predictions_are_scikit_learns(n: int, p: int) -> None:
    x, y, x_test = problem(n, p)
    reference = RidgeCV(ALPHAS.numpy(), alpha_per_target=True).fit(x.numpy(), y.numpy())
    fit = loo_ridge(x, y, x_test, ALPHAS)
    expected = torch.from_numpy(reference.predict(x_test.numpy()))
    torch.testing.assert_close(fit.prediction, expected, rtol=1e-8, atol=1e-8)
    assert len(fit.alpha.unique()) > 2


@pytest.mark.parametrize(("n", "p"), [(15, 4), (15, 14), (15, 30)])
def test_the_penalty_is_the_best_of_honest_refits(n: int, p: int) -> None:
    assert_agrees_with_refits(*problem(n, p), ALPHAS[::4])


@pytest.mark.parametrize("p", [5, 30])
def test_a_constant_feature_changes_nothing(p: int) -> None:
    x, y, x_test = problem(15, p)
    constant = torch.full((len(x), 1), 7.0, dtype=x.dtype)
    plain = loo_ridge(x, y, x_test, ALPHAS)
    fit = loo_ridge(torch.cat([x, constant], 1), y, torch.cat([x_test, constant[:10]], 1), ALPHAS)
    torch.testing.assert_close(fit.prediction, plain.prediction, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(fit.alpha, plain.alpha)


@pytest.mark.parametrize("p", [4, 30])
def test_repeated_rows_and_columns_are_fitted_exactly(p: int) -> None:
    x, y, x_test = problem(12, p)
    x, y = x[[0, 0, 0, *range(1, 12), 5]], y[[0, 0, 0, *range(1, 12), 5]]
    x, x_test = torch.cat([x, x[:, :2]], 1), torch.cat([x_test, x_test[:, :2]], 1)
    assert_agrees_with_refits(x, y, x_test, ALPHAS[4::4])


@pytest.mark.parametrize("p", [4, 30])
def test_features_that_are_all_constant_predict_the_mean(p: int) -> None:
    _, y, x_test = problem(15, p)
    fit = loo_ridge(torch.ones(15, p, dtype=torch.float64), y, x_test, ALPHAS)
    torch.testing.assert_close(fit.prediction, y.mean(0).expand(10, -1))


@pytest.mark.parametrize("p", [4, 30])
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_constant_target_is_predicted_with_the_largest_penalty(p: int, value: float) -> None:
    x, y, x_test = problem(16, p)
    y[:, 2] = value
    fit = loo_ridge(x, y, x_test, ALPHAS)
    torch.testing.assert_close(fit.prediction[:, 2], torch.full((10,), value, dtype=x.dtype))
    assert fit.alpha[2] == ALPHAS.max()


@pytest.mark.parametrize("p", [8, 60])
def test_batches_are_fitted_one_by_one(p: int) -> None:
    problems = [problem(20, p, seed=seed) for seed in range(6)]
    x, y, x_test = (
        torch.stack(parts).unflatten(0, (2, 3)) for parts in zip(*problems, strict=True)
    )
    fit = loo_ridge(x, y, x_test, ALPHAS)
    assert fit.prediction.shape == (2, 3, 10, 6)
    assert fit.alpha.shape == (2, 3, 6)
    for i, alone in enumerate(loo_ridge(*single, ALPHAS) for single in problems):
        torch.testing.assert_close(fit.prediction.flatten(0, 1)[i], alone.prediction)
        torch.testing.assert_close(fit.alpha.flatten(0, 1)[i], alone.alpha)


@pytest.mark.parametrize("p", [8, 60])
def test_a_shared_penalty_has_the_smallest_error_of_all_targets_together(p: int) -> None:
    x, y, x_test = problem(20, p)
    fit = loo_ridge(x, y, x_test, ALPHAS[::4], shared=True)
    errors = [refitted_loo(x, y, float(alpha)).sum() for alpha in ALPHAS[::4]]
    assert (fit.alpha == ALPHAS[::4][int(np.argmin(errors))]).all()
    expected = refitted_prediction(x, y, x_test, fit.alpha)
    torch.testing.assert_close(fit.prediction, expected, rtol=1e-8, atol=1e-8)
    assert len(loo_ridge(x, y, x_test, ALPHAS[::4]).alpha.unique()) > 1


@pytest.mark.parametrize("p", [8, 60])
@pytest.mark.parametrize("numbers", [1, 50, 300])
def test_pieces_of_rows_give_what_all_rows_give(
    p: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [problem(40, p, seed=seed) for seed in range(2)]
    stacked = [torch.stack(part) for part in zip(*parts, strict=True)]
    before = [part.clone() for part in stacked]
    for shared in (False, True):
        whole = loo_ridge(*stacked, ALPHAS, shared)
        monkeypatch.setattr("alignment.ridge.PIECE", numbers)
        pieces = loo_ridge(*stacked, ALPHAS, shared)
        monkeypatch.undo()
        torch.testing.assert_close(pieces.prediction, whole.prediction, rtol=1e-10, atol=1e-10)
        assert torch.equal(pieces.alpha, whole.alpha)
    assert all(torch.equal(a, b) for a, b in zip(stacked, before, strict=True))


def test_the_order_of_the_penalties_does_not_matter() -> None:
    x, y, x_test = problem(20, 8)
    order = torch.randperm(len(ALPHAS), generator=torch.Generator().manual_seed(0))
    first, second = loo_ridge(x, y, x_test, ALPHAS), loo_ridge(x, y, x_test, ALPHAS[order])
    assert torch.equal(first.prediction, second.prediction)
    assert torch.equal(first.alpha, second.alpha)


def test_single_precision_in_is_single_precision_out() -> None:
    x, y, x_test = (part.float() for part in problem(30, 10))
    fit = loo_ridge(x, y, x_test, ALPHAS.float())
    assert fit.prediction.dtype == fit.alpha.dtype == torch.float32
    exact = loo_ridge(x.double(), y.double(), x_test.double(), ALPHAS)
    torch.testing.assert_close(fit.prediction.double(), exact.prediction, rtol=1e-5, atol=1e-5)


def test_a_plain_signal_is_found_and_noise_is_not() -> None:
    x, _, x_test = problem(60, 20)
    weights = torch.randn(20, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fit = loo_ridge(x, x @ weights, x_test, ALPHAS)
    torch.testing.assert_close(fit.prediction, x_test @ weights, rtol=1e-3, atol=1e-3)
    assert fit.alpha == ALPHAS.min()
    noise = torch.randn(60, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert loo_ridge(x, noise, x_test, ALPHAS).prediction.std() < 0.25


def test_rows_that_do_not_match_are_an_error() -> None:
    x, y, x_test = problem(20, 4)
    with pytest.raises(Exception, match=r"19 feature rows but 20 response rows|y_train"):
        loo_ridge(x[:19], y, x_test, ALPHAS)


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_penalties_must_be_positive(alpha: float) -> None:
    x, y, x_test = problem(20, 4)
    with pytest.raises(ValueError, match=f"penalties must be positive, got {alpha}"):
        loo_ridge(x, y, x_test, torch.tensor([1.0, alpha]))
