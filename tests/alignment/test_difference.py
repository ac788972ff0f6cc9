"""Two predictions of the same responses: resampling against literal loops and simulations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alignment.difference import (
    bootstrap_r2_difference,
    bootstrap_rsa_difference,
    r2_difference,
    swap_test,
    two_sided_p,
)
from alignment.inference import positive_r2, unit_counts, within_participant_sem
from alignment.rsa import compare, pearson, ranks, rdm
from tests.alignment.test_inference import noise


def predictions(seed: int, spread: float = 1.0, n: int = 165, v: int = 3) -> list[torch.Tensor]:
    """Two predictions that share a part, and the response; equally good for spread 1."""
    y, shared = noise(n, v, seed=seed), noise(n, v, seed=seed + 1)
    a = y + shared + noise(n, v, seed=seed + 2)
    b = y + shared + spread * noise(n, v, seed=seed + 3)
    return [a, b, y]


def test_the_difference_is_that_of_the_scores() -> None:
    a, b, y = predictions(0)
    torch.testing.assert_close(r2_difference(a, b, y), positive_r2(a, y) - positive_r2(b, y))
    torch.testing.assert_close(r2_difference(-a, b, y), -positive_r2(b, y))
    constant = torch.full_like(a, 3.0)
    torch.testing.assert_close(r2_difference(a, constant, y), positive_r2(a, y))


def test_bootstrap_draws_are_scores_of_drawn_stimuli() -> None:
    a, b, y = predictions(0, n=20)
    draws = bootstrap_r2_difference(a, b, y, n=30)
    for counts, got in zip(unit_counts(20, 30, 0), draws, strict=True):
        assert counts.sum() == 20
        rows = torch.repeat_interleave(torch.arange(20), counts.long())
        torch.testing.assert_close(got, r2_difference(a[rows], b[rows], y[rows]))


def test_swapped_predictions_score_as_if_swapped_one_by_one() -> None:
    a, b, y = predictions(0, spread=2, n=20)
    test = swap_test(3 * a + 7, b, y, n=30)
    swap = torch.randint(2, (30, 20), generator=torch.Generator().manual_seed(0)).bool()
    a, b = ((x - x.mean(0)) / x.std(0, correction=0) for x in (a, b))
    for rows, got in zip(swap, test.null, strict=True):
        first, second = (torch.where(rows[:, None], *pair) for pair in ((b, a), (a, b)))
        torch.testing.assert_close(got, r2_difference(first, second, y))


@pytest.mark.slow
def test_swap_test_and_interval_keep_their_level() -> None:
    p, held = [], []
    for seed in range(300):
        a, b, y = predictions(10 * seed, v=1)
        p.append(float(swap_test(a, b, y, n=500, seed=seed).p))
        low, high = bootstrap_r2_difference(a, b, y, n=500).quantile(
            torch.tensor([0.025, 0.975]).double()
        )
        held.append(bool(low <= 0 <= high))
    assert np.mean(np.array(p) <= 0.05) <= 0.07
    assert np.mean(held) > 0.92


def test_a_better_prediction_is_found() -> None:
    a, b, y = predictions(0, spread=8)
    assert (swap_test(a, b, y).p < 0.01).all()
    assert (bootstrap_r2_difference(a, b, y).quantile(0.005, 0) > 0).all()


def geometries(seed: int, spread: float) -> list[torch.Tensor]:
    """Dissimilarities of two models and of a brain that follow the same code, with noise."""
    code, shared = noise(80, 10, seed=seed), noise(80, 10, seed=seed + 1)
    noisy = [noise(80, 10, seed=seed + k) for k in (2, 3, 4)]
    return [
        rdm(code + shared + noisy[0]),
        rdm(code + shared + spread * noisy[1]),
        rdm(code + noisy[2]),
    ]


def test_bootstrap_of_dissimilarities_counts_pairs() -> None:
    a, b, brain = geometries(0, 1.5)
    draws = bootstrap_rsa_difference(a, b, brain, 80, n=5, chunk=2)
    row, column = torch.triu_indices(80, 80, 1)
    for counts, got in zip(unit_counts(80, 5, 0), draws, strict=True):
        times = (counts[row] * counts[column]).long()
        x, z, y = (ranks(r).repeat_interleave(times) for r in (a, b, brain))
        assert float(got) == pytest.approx(float(pearson(x, y) - pearson(z, y)))
    observed = float(compare(a, brain) - compare(b, brain))
    draws = bootstrap_rsa_difference(a, b, brain, 80)
    assert float(draws.mean()) == pytest.approx(observed, abs=2 * float(draws.std()))


@pytest.mark.slow
def test_bootstrap_of_dissimilarities_keeps_its_level() -> None:
    p = [
        float(two_sided_p(bootstrap_rsa_difference(*geometries(10 * s, 1.0), 80, n=400, seed=s)))
        for s in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.07
    better = [
        float(two_sided_p(bootstrap_rsa_difference(*geometries(10 * s, 4.0), 80, n=400, seed=s)))
        for s in range(20)
    ]
    assert np.median(better) < 0.05


def test_error_within_participants_leaves_their_level_out() -> None:
    effect, level = noise(4, 1), 100 * noise(1, 9, seed=1)
    small = 0.1 * noise(4, 9, seed=2)
    sem = within_participant_sem(effect + level + small)
    expected = (small - small.mean(0)).std(1) / 3
    torch.testing.assert_close(sem, expected)
