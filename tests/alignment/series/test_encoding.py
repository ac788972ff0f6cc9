"""Encoding models: scikit-learn's, with a penalty that no scored sentence has seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from alignment.lags import delay
from alignment.rsa import pearson
from alignment.series.encoding import (
    FoldSums,
    nested_encoding,
    pair_correlations,
    shared_correlations,
)

K, V, FOLDS = 5, 4, 4
LENGTHS = (30, 24, 30, 28, 20, 30, 26, 30, 30, 22, 30, 25)
ALPHAS = torch.tensor([0.001, 0.1, 10.0])
Sentences = list[tuple[Tensor, Tensor]]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sentences() -> Sentences:
    """The first two targets follow the features; all have a course of their own."""
    weights = normal(1, K, V) * torch.tensor([1.0, 0.3, 0.0, 0.0])
    course = normal(2, max(LENGTHS), K + V)
    found = []
    for i, n in enumerate(LENGTHS):
        x = normal(10 + i, n, K) * torch.arange(1, K + 1)
        y = x @ weights + normal(50 + i, n, V)
        found.append((x + course[:n, :K], y + course[:n, K:]))
    return found


def sums(heard: Sentences) -> list[FoldSums]:
    k, v = heard[0][0].shape[1], heard[0][1].shape[1]
    return [FoldSums.of(heard[f::FOLDS], k, v, max(LENGTHS)) for f in range(FOLDS)]


def centred(train: Sentences, test: Sentences) -> tuple[np.ndarray, ...]:
    """Rows less the mean of the training sentences at their time, by a loop over times."""
    means = []
    for t in range(max(LENGTHS)):
        reach = [(x[t], y[t]) for x, y in train if len(x) > t]
        means.append([torch.stack(part).mean(0) for part in zip(*reach, strict=True)])
    found = []
    for part in (train, test):
        for side in (0, 1):
            rows = [s[side][t] - means[t][side] for s in part for t in range(len(s[side]))]
            found.append(torch.stack(rows).numpy())
    return tuple(found)


def ridge(train: Sentences, test: Sentences, alpha: np.ndarray, gamma: np.ndarray):  # type: ignore[no-untyped-def]
    """Prediction of, and error on, test rows by scikit-learn."""
    x, y, x_test, y_test = centred(train, test)
    scale = x.std(0)
    prediction = np.empty_like(y_test)
    for v in range(y.shape[1]):
        g = np.sqrt(gamma[:, v]) / scale
        model = Ridge(alpha=len(x) * alpha[v], fit_intercept=False).fit(x * g, y[:, v])
        prediction[:, v] = model.predict(x_test * g)
    return prediction, ((y_test - prediction) ** 2).sum(0), (y_test**2).sum(0)


def of_folds(heard: Sentences, *folds: int) -> Sentences:
    return [s for i, s in enumerate(heard) if i % FOLDS in folds]


def constant(alpha: float, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(V, alpha), np.repeat(gamma[:, None], V, 1)


@pytest.mark.parametrize("banded", [False, True])
def test_predictions_and_choices_are_those_of_scikit_learn(banded: bool) -> None:
    heard = sentences()
    gammas = [[1.0] * K, [1.0] * 3 + [0.0] * 2, [1.0] * 3 + [0.01] * 2] if banded else [[1.0] * K]
    table = torch.tensor(gammas) if banded else None
    models = nested_encoding(sums(heard), ALPHAS, table)
    candidates = [constant(a, np.array(g)) for g in gammas for a in ALPHAS.tolist()]
    for f, model in enumerate(models):
        others = [g for g in range(FOLDS) if g != f]
        error, total = np.zeros((len(candidates), V)), np.zeros(V)
        for g in others:
            train = of_folds(heard, *(h for h in others if h != g))
            for c, candidate in enumerate(candidates):
                _, squares, every = ridge(train, of_folds(heard, g), *candidate)
                error[c] += squares
            total += every
        best = error.argmin(0)
        alpha = np.array([candidates[c][0][0] for c in best])
        gamma = np.stack([candidates[c][1][:, 0] for c in best], 1)
        np.testing.assert_allclose(model.alpha, alpha, rtol=1e-6)
        np.testing.assert_allclose(model.gamma, gamma, rtol=1e-6)
        np.testing.assert_allclose(model.explained, 1 - error.min(0) / total, rtol=1e-8)
        expected, _, _ = ridge(of_folds(heard, *others), of_folds(heard, f), alpha, gamma)
        found = torch.cat([model.predict(x) for x, _ in of_folds(heard, f)])
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_piece_in_the_middle_is_predicted_as_part_of_its_sentence() -> None:
    heard = sentences()
    model = nested_encoding(sums(heard), ALPHAS)[0]
    x = heard[0][0]
    torch.testing.assert_close(model.predict(x[None, 7:15], 7)[0], model.predict(x)[7:15])


def test_what_all_sentences_share_predicts_nothing() -> None:
    course = normal(3, max(LENGTHS), K)
    clock = [(course[:n], 3 * course[:n, :V] + normal(n, n, V)) for n in LENGTHS]
    for model in nested_encoding(sums(clock), ALPHAS):
        assert not model.weights.any()
        assert not pair_correlations(model.predict(course[None]), normal(0, 1, 30, V)).any()


def test_the_fold_that_is_predicted_changes_nothing_of_its_model() -> None:
    heard = sentences()
    other = [(x, -5 * y) if i % FOLDS == 0 else (x, y) for i, (x, y) in enumerate(heard)]
    first, second = (nested_encoding(sums(some), ALPHAS)[0] for some in (heard, other))
    for name in ("weights", "alpha", "explained", "xx"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name))
    assert torch.equal(first.course.y, second.course.y)


def test_pairs_are_correlated_over_time() -> None:
    a, b = normal(1, 3, 20, 2), normal(2, 3, 20, 2)
    found = pair_correlations(a, b)
    for i in range(3):
        for j in range(3):
            expected = pearson(a[i].T, b[j].T).atanh()
            torch.testing.assert_close(found[i, j], expected)


def test_a_constant_prediction_correlates_with_nothing() -> None:
    assert not pair_correlations(torch.ones(2, 20, 1), normal(1, 2, 20, 1).float()).any()


def test_the_noise_ceiling_is_that_of_the_others_and_of_all() -> None:
    common = normal(1, 1, 5, 200, 2)
    own = common + normal(2, 3, 5, 200, 2)
    lower, upper = shared_correlations(own)
    assert lower.shape == (5, 3, 2)
    unit = own - own.mean(-2, keepdim=True)
    unit = unit / unit.norm(dim=-2, keepdim=True)
    others = pearson(own[0, 0].T, (unit[1, 0] + unit[2, 0]).T)
    every = pearson(own[0, 0].T, unit[:, 0].sum(0).T)
    torch.testing.assert_close(lower[0, 0].tanh(), others)
    torch.testing.assert_close(upper[0, 0].tanh(), every)
    # Of equal signal and noise, r with the mean of two others is sqrt(1/2 * 2/3).
    assert float(lower.tanh().mean()) == pytest.approx((1 / 3) ** 0.5, abs=0.03)


def test_the_lag_that_predictions_follow() -> None:
    """Slow features: those of the neighbouring lags are nearly the same."""
    slow = [normal(i, 60, 2).cumsum(0) for i in range(12)]
    heard = [
        (delay(x, [0, 1, 2]), delay(x, [1])[:, :1] + normal(i, 60, 1)) for i, x in enumerate(slow)
    ]
    folds = [FoldSums.of(heard[f::FOLDS], 6, 1, 60) for f in range(FOLDS)]
    model = nested_encoding(folds, ALPHAS)[0]
    train = [s for i, s in enumerate(heard) if i % FOLDS]
    x = torch.cat([x - model.course.x for x, _ in train])
    covariance = x.T @ (x @ model.weights) / x.norm(dim=0)[:, None]
    power = covariance.square().sum(1).view(3, 2).sum(1)
    torch.testing.assert_close(model.lag_power(3), power)
    assert int(power.argmax()) == 1


def test_errors_say_what_to_give() -> None:
    folds = sums(sentences())
    with pytest.raises(ValueError, match="2 folds: penalties are chosen on other folds"):
        nested_encoding(folds[:2], ALPHAS)
    with pytest.raises(ValueError, match="alphas must be positive"):
        nested_encoding(folds, torch.tensor([0.0]))
    with pytest.raises(ValueError, match="no training sentence reaches row 30"):
        nested_encoding([FoldSums.of(sentences(), K, V, 31) for _ in range(3)], ALPHAS)
