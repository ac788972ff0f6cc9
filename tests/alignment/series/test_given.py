"""Correlations given covariates of one side: against regressions, and where nothing is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch import Tensor

from alignment.series.given import covariate_basis, given_products
from alignment.series.metrics import BY_NAME, METRICS, product, shift_products
from alignment.series.signatures import time_apart
from tests.alignment.test_inference import noise

METRIC = BY_NAME["rsa_partial_acoustic"]
SIZE = 24


def ranked(x: Tensor) -> np.ndarray:
    row, column = np.triu_indices(len(x), 1)
    return rankdata(1 - np.corrcoef(x.numpy())[row, column])


def by_regression(x: Tensor, y: Tensor, sound: Tensor) -> float:
    """Correlation of the residuals of ranks, both regressed on time apart and the sound."""
    row, column = np.triu_indices(len(x), 1)
    given = np.stack([np.ones(len(row)), rankdata(column - row), ranked(sound)], 1)
    rest = [d - given @ np.linalg.lstsq(given, d, rcond=None)[0] for d in (ranked(x), ranked(y))]
    return float(np.corrcoef(*rest)[0, 1])


def three() -> tuple[Tensor, Tensor, Tensor]:
    """Four layers, three responses, and a sound for each layer that is in both."""
    sound = noise(4, SIZE, 5, seed=1).cumsum(1)
    x = noise(4, SIZE, 5, seed=2) + 0.5 * sound
    y = noise(3, SIZE, 5, seed=3) + 0.5 * sound[:3] + 0.5 * x[:3]
    return x, y, sound


def test_it_is_the_correlation_of_residuals() -> None:
    x, y, sound = three()
    x_, y_, z_ = (METRIC.signature(part) for part in (x, y, sound))
    found = product(METRIC, x_, y_, SIZE, z_)
    assert found.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            assert float(found[i, j]) == pytest.approx(
                by_regression(x[i], y[j], sound[i]), abs=1e-9
            )


def test_shifts_move_the_response_past_layer_and_sound() -> None:
    x, y, sound = three()
    x_, y_, z_ = (METRIC.signature(part) for part in (x, y, sound[0]))
    found = shift_products(METRIC, x_, y_, z_)
    for shift in (0, 3, SIZE - 1):
        for i in range(4):
            expected = by_regression(x[i], y[1].roll(-shift, 0), sound[0])
            assert float(found[i, 1, shift]) == pytest.approx(expected, abs=1e-9)


def test_a_copy_of_the_sound_has_nothing_left() -> None:
    _, y, sound = three()
    y_, z_ = METRIC.signature(y), METRIC.signature(sound)
    assert torch.equal(product(METRIC, z_, y_, SIZE, z_), torch.zeros(4, 3, dtype=torch.float64))
    assert not shift_products(METRIC, z_[:1], y_, z_[0]).any()


def test_a_sound_that_never_varies_takes_nothing_out() -> None:
    x, y, _ = three()
    x_, y_ = METRIC.signature(x), METRIC.signature(y)
    still = METRIC.signature(torch.ones(4, SIZE, 5, dtype=torch.float64))
    plain = METRICS["rsa_partial"]
    torch.testing.assert_close(
        product(METRIC, x_, y_, SIZE, still), product(plain, x_, y_, SIZE), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        shift_products(METRIC, x_, y_, still[0]), shift_products(plain, x_, y_), rtol=0, atol=1e-12
    )


def test_covariates_that_say_the_same_count_once() -> None:
    x, y, sound = (METRIC.signature(part) for part in three())
    time = time_apart(SIZE, x).expand_as(sound)
    twice = covariate_basis(time, sound, sound)
    assert twice[..., 2].abs().max() == 0
    once = covariate_basis(time, sound)
    torch.testing.assert_close(given_products(x, y, twice), given_products(x, y, once))


def test_what_is_not_a_number_stays() -> None:
    x, y, sound = three()
    x[0] = 1.0
    found = product(METRIC, *(METRIC.signature(part) for part in (x, y)), SIZE,
                    METRIC.signature(sound))  # fmt: skip
    assert bool(found[0].isnan().all())
    assert bool(found[1:].isfinite().all())
