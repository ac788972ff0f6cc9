"""Temporal response functions: the mTRF-Toolbox's, scikit-learn's, and those that were planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mtrf.model import TRF as Toolbox
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from alignment.lags import delay, fit_trf
from alignment.rsa import pearson

LENGTHS = (300, 260, 310, 280)
RATE = 50
LAGS = list(range(-2, 9))
GRID = torch.logspace(-2, 6, 9, dtype=torch.float64)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(p: int = 2, v: int = 3) -> Tensor:
    """Smooth responses that peak after lag 3, shape (lags, p, v)."""
    peak = torch.exp(-0.5 * ((torch.tensor(LAGS) - 3.0) / 1.5) ** 2)
    return peak[:, None, None].double() * normal(7, p, v)


def recorded(noise: float, p: int = 2, v: int = 3) -> tuple[list[Tensor], list[Tensor]]:
    x = [normal(10 + k, t, p) for k, t in enumerate(LENGTHS)]
    weights = kernel(p, v).flatten(0, 1)
    y = [delay(a, LAGS) @ weights + noise * normal(50 + k, len(a), v) for k, a in enumerate(x)]
    return x, y


def arrays(trials: list[Tensor]) -> list[np.ndarray]:
    return [t.numpy().copy() for t in trials]


def test_delays_stand_lag_by_lag() -> None:
    x = torch.arange(1.0, 9.0).view(4, 2)
    found = delay(x, [1, 0, -1, 9])
    assert found.shape == (4, 8)
    assert found[:, :2].tolist() == [[0, 0], [1, 2], [3, 4], [5, 6]]
    assert torch.equal(found[:, 2:4], x)
    assert found[:, 4:6].tolist() == [[3, 4], [5, 6], [7, 8], [0, 0]]
    assert not found[:, 6:].any()
    assert torch.equal(delay(torch.stack([x, 2 * x]), [1, -1])[1], 2 * delay(x, [1, -1]))


def test_a_forward_model_is_the_toolboxs() -> None:
    x, y = recorded(1.0)
    strength = 0.3
    # The toolbox averages products over trials, and counts its penalty in samples a second.
    alpha = torch.tensor([strength * RATE * len(x)], dtype=torch.float64)
    found = fit_trf(x, y, LAGS, alpha, standardise=False)
    theirs = Toolbox()
    theirs.train(arrays(x), arrays(y), RATE, LAGS[0] / RATE, LAGS[-1] / RATE, strength)
    # Their constant column is part of the design, ours of the centring: the same model.
    weights = torch.from_numpy(theirs.weights).permute(1, 0, 2) / RATE
    torch.testing.assert_close(found.weights, weights, atol=1e-6, rtol=1e-6)
    prediction = theirs.predict(stimulus=arrays(x))
    for a, b in zip(x, prediction, strict=True):
        torch.testing.assert_close(found.predict(a), torch.from_numpy(b), atol=1e-6, rtol=1e-6)


def test_a_backward_model_is_the_toolboxs_with_lags_turned() -> None:
    x, y = recorded(1.0)
    found = fit_trf(y, x, [-k for k in LAGS], torch.tensor([100.0]), standardise=False)
    theirs = Toolbox(direction=-1)
    strength = 100 / RATE / len(x)
    theirs.train(arrays(x), arrays(y), RATE, LAGS[0] / RATE, LAGS[-1] / RATE, strength)
    weights = torch.from_numpy(theirs.weights).permute(1, 0, 2) / RATE
    torch.testing.assert_close(found.weights.flip(0), weights, atol=1e-6, rtol=1e-6)
    (expected,) = theirs.predict(response=arrays(y[:1]))
    torch.testing.assert_close(found.predict(y[0]), torch.from_numpy(expected))


@pytest.mark.long
def test_held_out_predictions_with_the_nested_penalty_are_scikit_learns() -> None:
    x, y = recorded(3.0)
    x = [a * torch.tensor([1.0, 30.0]) + 2 for a in x]
    found = fit_trf(x, y, LAGS, GRID)
    designs, truth = [delay(a, LAGS).numpy() for a in x], arrays(y)

    def guess(test: int, out: set[int], alpha: float) -> np.ndarray:
        rows = [k for k in range(len(x)) if k not in out]
        model = make_pipeline(StandardScaler(), Ridge(alpha))
        model.fit(
            np.concatenate([designs[k] for k in rows]), np.concatenate([truth[k] for k in rows])
        )
        return model.predict(designs[test])

    for outer in range(len(x)):
        rest = [k for k in range(len(x)) if k != outer]
        errors = [
            sum(((guess(k, {k, outer}, a) - truth[k]) ** 2).sum(0) for k in rest)
            for a in GRID.tolist()
        ]
        for target, best in enumerate(np.argmin(errors, 0)):
            expected = guess(outer, {outer}, GRID[best].item())[:, target]
            ours = found.prediction[outer][:, target]
            torch.testing.assert_close(ours, torch.from_numpy(expected), atol=1e-8, rtol=1e-8)
            r = np.corrcoef(expected, truth[outer][:, target])[0, 1]
            assert float(found.r[outer, target]) == pytest.approx(r)


def test_the_smoothness_penalty_has_its_closed_form() -> None:
    x, y = recorded(1.0)
    found = fit_trf(x, y, LAGS, torch.tensor([50.0]), "derivative", standardise=False)
    design = torch.cat([delay(a, LAGS) for a in x])
    target = torch.cat(y)
    rise = torch.eye(len(LAGS)) - torch.diag(torch.ones(len(LAGS) - 1), -1)
    penalty = torch.kron(rise.T @ rise, torch.eye(2)).double()
    centred = design - design.mean(0)
    expected = torch.linalg.solve(
        centred.T @ centred + 50 * penalty, centred.T @ (target - target.mean(0))
    )
    torch.testing.assert_close(found.weights.flatten(0, 1), expected)


def test_smooth_responses_are_found_better_with_the_smoothness_penalty() -> None:
    x, y = recorded(6.0)
    wrong = [
        float((fit_trf(x, y, LAGS, GRID, kind).weights - kernel()).square().mean())
        for kind in ("ridge", "derivative")
    ]
    assert wrong[1] < 0.7 * wrong[0]


def test_the_planted_response_is_found_and_noise_is_not_predicted() -> None:
    x, y = recorded(0.5)
    found = fit_trf(x, y, LAGS, GRID)
    torch.testing.assert_close(found.weights, kernel(), atol=0.1, rtol=0)
    assert found.weights.abs().sum((1, 2)).argmax().item() == LAGS.index(3)
    assert float(found.r.min()) > 0.9
    noise = [normal(90 + k, *b.shape) for k, b in enumerate(y)]
    assert abs(float(fit_trf(x, noise, LAGS, GRID).r.mean())) < 0.05


def test_decoding_finds_what_encoding_made() -> None:
    x, y = recorded(0.3, p=1, v=8)
    backward = fit_trf(y, x, [-k for k in LAGS], GRID)
    assert backward.weights.shape == (len(LAGS), 8, 1)
    assert float(backward.r.min()) > 0.6
    wrong = fit_trf(y, x, [-k for k in LAGS if k < 0], GRID)
    assert float(wrong.r.mean()) < 0.3


def test_the_left_out_trial_has_no_say() -> None:
    x, y = recorded(1.0)
    before = fit_trf(x, y, LAGS, GRID)
    y[2] = normal(99, *y[2].shape)
    after = fit_trf(x, y, LAGS, GRID)
    torch.testing.assert_close(after.prediction[2], before.prediction[2])
    assert not torch.allclose(after.prediction[0], before.prediction[0])
    assert float(after.r[2].abs().max()) < 0.3


def test_each_target_has_its_own_penalty_unless_one_is_shared() -> None:
    x, y = recorded(1.0)
    y = [torch.stack([b[:, 0], normal(70 + k, len(b))], 1) for k, b in enumerate(y)]
    own = fit_trf(x, y, LAGS, GRID)
    assert own.alpha[0] < own.alpha[1]
    shared = fit_trf(x, y, LAGS, GRID, shared=True)
    assert shared.alpha[0] == shared.alpha[1]
    scaled = fit_trf(x, [b * torch.tensor([1.0, 1e4]) for b in y], LAGS, GRID, shared=True)
    assert torch.equal(scaled.alpha, shared.alpha)


@pytest.mark.long
def test_bands_get_penalties_of_their_own() -> None:
    """Two features that matter among forty that do not: their band is given more weight."""
    x, y = recorded(3.0)
    wide = [torch.cat([a, normal(30 + k, len(a), 40)], 1) for k, a in enumerate(x)]
    plain = fit_trf(wide, y, LAGS, GRID)
    band = torch.cat([torch.ones(2), torch.zeros(40)])
    gammas = torch.stack([10.0 ** (power * band) for power in (-3, 0, 3)]).double()
    banded = fit_trf(wide, y, LAGS, GRID, gammas=gammas)
    assert float(banded.r.mean()) > float(plain.r.mean()) + 0.05
    assert banded.gamma[:, 0].tolist() == [1000.0] * 2 + [1.0] * 40
    assert plain.gamma.unique().tolist() == [1.0]
    rescaled = [a * gammas[2].sqrt() for a in wide]
    one = torch.tensor([7.0])
    by_gamma = fit_trf(wide, y, LAGS, one, gammas=gammas[2:], standardise=False)
    by_hand = fit_trf(rescaled, y, LAGS, one, standardise=False)
    torch.testing.assert_close(by_gamma.prediction[0], by_hand.prediction[0])


def test_a_feature_that_never_varies_gets_no_weight() -> None:
    x, y = recorded(1.0)
    flat = [torch.cat([a, torch.zeros(len(a), 1)], 1) for a in x]
    found = fit_trf(flat, y, LAGS, GRID)
    assert not found.weights[:, 2].any()
    torch.testing.assert_close(found.r, fit_trf(x, y, LAGS, GRID).r)


def test_single_precision_is_summed_in_double() -> None:
    x, y = recorded(1.0)
    found = fit_trf([a.float() for a in x], [b.float() for b in y], LAGS, GRID.float())
    assert found.weights.dtype == torch.float64
    torch.testing.assert_close(found.r, fit_trf(x, y, LAGS, GRID).r, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.r[0], pearson(found.prediction[0].T, y[0].T))


def test_what_cannot_be_fitted_says_so() -> None:
    x, y = recorded(1.0)
    with pytest.raises(ValueError, match="2 and 2 trials, expected as many and at least 3"):
        fit_trf(x[:2], y[:2], LAGS, GRID)
    assert fit_trf(x[:2], y[:2], LAGS, GRID[:1]).r.shape == (2, 3)
    with pytest.raises(ValueError, match="trial 1: 260 rows to predict 259 rows from"):
        fit_trf(x, [y[0], y[1][:-1], *y[2:]], LAGS, GRID)
    with pytest.raises(ValueError, match="must be positive"):
        fit_trf(x, y, LAGS, torch.zeros(1))
