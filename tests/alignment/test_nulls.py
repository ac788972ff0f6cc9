"""Null distributions: sizes of tests, against scipy and against simulations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from alignment.inference import positive_r2
from alignment.nulls import NullTest, shuffled_rows, shuffles, sign_flips
from alignment.ridge import crossvalidated_prediction
from tests.alignment.test_inference import noise

ALPHAS = torch.logspace(-2, 4, 7, dtype=torch.float64)


def test_p_counts_the_observed_value_as_a_draw() -> None:
    null = torch.tensor([[0.0, 0.0], [1.0, -3.0], [2.0, 1.0]])
    observed = torch.tensor([1.0, 2.0])
    assert NullTest.upper(observed, null).p.tolist() == [3 / 4, 1 / 4]
    assert NullTest.two_sided(observed, null).p.tolist() == [3 / 4, 2 / 4]


def test_orders_hold_every_row_once() -> None:
    orders = shuffles(11, 50)
    assert orders.sort(1).values.eq(torch.arange(11)).all()
    assert len({tuple(order) for order in orders.tolist()}) == 50
    assert shuffles(11, 50).equal(orders)


def test_sign_flips_of_few_units_are_scipys_exact_test() -> None:
    differences = noise(8, 3) + 0.5
    expected = stats.permutation_test(
        (differences.numpy(),),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    got = sign_flips(differences)
    assert len(got.null) == 2**8 - 1
    np.testing.assert_allclose(got.p, expected.pvalue)


def test_sign_flips_of_many_units_are_drawn() -> None:
    differences = noise(40) + 0.3
    expected = stats.ttest_1samp(differences.numpy(), 0).pvalue
    assert sign_flips(differences, n=5000).p.item() == pytest.approx(expected, abs=0.02)


def test_shuffled_rows_find_what_is_there_and_nothing_else() -> None:
    x, folds = noise(60, 4), torch.arange(60) % 5
    y = torch.cat([x[:, :1] + noise(60, 1, seed=1), noise(60, 1, seed=2)], 1)

    def r2(y: torch.Tensor) -> torch.Tensor:
        return positive_r2(crossvalidated_prediction(x, y, folds, ALPHAS), y)

    test = shuffled_rows(r2, y, n=199, chunk=50)
    torch.testing.assert_close(test.observed, r2(y))
    assert test.null.shape == (199, 2)
    assert test.p[0] == 1 / 200
    assert test.p[1] > 0.05
    # A shuffled copy scores the same as a column among others and alone.
    order = shuffles(60, 199)[7]
    torch.testing.assert_close(test.null[7], r2(y[order]))


@pytest.mark.long
def test_shuffled_rows_keep_their_level() -> None:
    folds = torch.arange(40) % 5
    found = []
    for seed in range(100):
        x, y = noise(40, 3, seed=seed), noise(40, 2, seed=1000 + seed)

        def r2(y: torch.Tensor, x: torch.Tensor = x) -> torch.Tensor:
            return positive_r2(crossvalidated_prediction(x, y, folds, ALPHAS), y)

        found.append(shuffled_rows(r2, y, n=99, seed=seed).p)
    assert (torch.stack(found) <= 0.05).double().mean() < 0.09
