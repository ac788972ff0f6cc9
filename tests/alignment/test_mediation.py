"""Partial rank correlations against regression of ranks, and the mediation ratio."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from alignment.mediation import mediation_ratio, partial_spearman
from alignment.rsa import compare
from tests.alignment.test_inference import noise


def regressed(x: torch.Tensor, y: torch.Tensor, covariates: torch.Tensor) -> float:
    """Correlation of the residuals of ranks, step by step."""
    z = np.column_stack([np.ones(len(x)), *(stats.rankdata(c) for c in covariates)])
    left = [r - z @ np.linalg.lstsq(z, r)[0] for r in map(stats.rankdata, (x, y))]
    return float(np.corrcoef(*left)[0, 1])


@pytest.mark.parametrize("covariates", [1, 2, 5])
def test_it_is_the_correlation_of_residuals(covariates: int) -> None:
    z = noise(covariates, 80).round(decimals=1)  # ties
    x, y = z.sum(0) + noise(80, seed=1), z[0] + noise(80, seed=2)
    assert partial_spearman(x, y, z).item() == pytest.approx(regressed(x, y, z), abs=1e-12)


def test_collinear_covariates_count_once() -> None:
    z = noise(2, 60)
    x, y = noise(60, seed=1) + z[0], noise(60, seed=2) + z[0]
    expected = partial_spearman(x, y, z)
    torch.testing.assert_close(partial_spearman(x, y, torch.cat([z, z.exp(), -z])), expected)
    # A constant covariate takes nothing away.
    constant = torch.ones(1, 60, dtype=torch.float64)
    torch.testing.assert_close(partial_spearman(x, y, constant), compare(x, y))


def test_batches_broadcast() -> None:
    x, y, z = noise(3, 1, 40), noise(4, 40, seed=1), noise(3, 4, 2, 40, seed=2)
    found = partial_spearman(x, y, z)
    assert found.shape == (3, 4)
    torch.testing.assert_close(found[2, 1], partial_spearman(x[2, 0], y[1], z[2, 1]))
    shared = partial_spearman(x, y, z[0, 0])
    torch.testing.assert_close(shared[2, 1], partial_spearman(x[2, 0], y[1], z[0, 0]))


def test_a_covariate_that_leaves_nothing_gives_nan() -> None:
    x, y = noise(30), noise(30, seed=1)
    assert partial_spearman(x, y, x.exp()[None]).isnan()
    assert partial_spearman(x.float(), y.float(), y.float()[None]).isnan()


def test_the_ratio_is_the_first_order_formula() -> None:
    m = noise(3, 200)
    p, e = m + noise(3, 200, seed=1), m + noise(3, 200, seed=2)
    partial = partial_spearman(p, e, m[:, None])
    torch.testing.assert_close(mediation_ratio(p, e, m), 1 - (partial / compare(p, e)) ** 2)


def test_known_cases() -> None:
    m = noise(20_000)
    one, other = noise(20_000, seed=1), noise(20_000, seed=2)
    # All of it through the model; none of it; and a model that hides it (a suppressor).
    assert mediation_ratio(m + one, m + other, m).item() == pytest.approx(1, abs=0.01)
    assert mediation_ratio(m + one, m + other, noise(20_000, seed=3)).abs() < 0.01
    assert mediation_ratio(one, one + 3 * m, m) < -1
    # No relation at all, and a model that is the prosody itself.
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    y = torch.tensor([2.0, 1.0, 0.0, 1.0, 2.0])
    assert mediation_ratio(x, y, one[:5].float()) == 0
    assert mediation_ratio(one, one + m, one.exp()).isnan()
