"""Similarity with held-out layers, against full matrices written step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from alignment.rsa import compare, rdm
from alignment.rsa_blocks import heldout_rdms

N, LAYERS = 30, 3


def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(LAYERS, N, 8, generator=draw, dtype=torch.float64)
    y = torch.stack([x[1], x[2]]) + torch.randn(2, N, 8, generator=draw, dtype=torch.float64)
    return rdm(x), rdm(y), torch.randperm(N, generator=draw) % 5


def square(pairs: np.ndarray) -> np.ndarray:
    full = np.zeros((N, N))
    full[np.triu_indices(N, 1)] = pairs
    return full + full.T


def faithful(models: np.ndarray, brain: np.ndarray, folds: np.ndarray) -> float:
    upper = np.triu(np.ones((N, N), bool), 1)
    made = np.zeros((N, N))
    for i in range(5):
        for j in range(i, 5):
            mask = upper.copy()
            mask[folds == i] = False
            mask[:, folds == j] = False
            scores = [spearmanr(square(m)[mask], square(brain)[mask])[0] for m in models]
            best = square(models[int(np.argmax(scores))])
            made[folds == i] = best[folds == i]
            made[:, folds == j] = best[:, folds == j]
    return float(spearmanr(made[upper], square(brain)[upper])[0])


def strict(models: np.ndarray, brain: np.ndarray, folds: np.ndarray) -> float:
    made, truth = [], []
    for i in range(5):
        for j in range(i, 5):
            inside = ~np.isin(folds, (i, j))
            train = np.triu(np.outer(inside, inside), 1)
            scores = [spearmanr(square(m)[train], square(brain)[train])[0] for m in models]
            held = np.outer(folds == i, folds == j) | np.outer(folds == j, folds == i)
            held = np.triu(held, 1)
            made.append(square(models[int(np.argmax(scores))])[held])
            truth.append(square(brain)[held])
    assert sum(map(len, made)) == N * (N - 1) // 2
    return float(spearmanr(np.concatenate(made), np.concatenate(truth))[0])


@pytest.mark.parametrize(("original", "reference"), [(True, faithful), (False, strict)])
def test_it_is_the_protocol_step_by_step(original: bool, reference: object) -> None:
    models, brains, folds = problem()
    found = compare(heldout_rdms(models, brains, folds, faithful=original), brains)
    expected = [reference(models.numpy(), b.numpy(), folds.numpy()) for b in brains]  # type: ignore[operator]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_one_layer_is_its_plain_correlation() -> None:
    models, brains, folds = problem()
    found = heldout_rdms(models[:1], brains, folds)
    assert found.equal(models[:1].expand(2, -1))


def test_two_folds_leave_nothing_to_choose_from() -> None:
    models, brains, folds = problem()
    with pytest.raises(ValueError, match="needs three"):
        heldout_rdms(models, brains, folds % 2)
