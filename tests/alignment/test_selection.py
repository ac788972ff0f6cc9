"""Choosing layers on other splits than those that score them, against a literal loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from alignment.selection import heldout_best_layer


def literal(scores: np.ndarray, groups: np.ndarray, iterations: int, clip: float | None) -> Tensor:
    """The protocol, step by step, with NumPy's global generator."""
    layers, targets, splits = scores.shape
    values = []
    for iteration in range(iterations):
        np.random.seed(iteration)  # noqa: NPY002
        select, held = np.empty((layers, targets)), np.empty((layers, targets))
        for layer in range(layers):
            for target in range(targets):
                marks = [0, 1] * (splits // 2) + [0] * (splits % 2)
                np.random.shuffle(marks)  # noqa: NPY002
                marked = np.array(marks, dtype=bool)
                select[layer, target] = np.median(scores[layer, target, marked])
                held[layer, target] = np.median(scores[layer, target, ~marked])
        if clip is not None:
            select, held = np.minimum(select, clip), np.minimum(held, clip)
        np.random.seed(0)  # noqa: NPY002
        chosen = [
            held[np.random.choice(np.flatnonzero(column == column.max())), target]  # noqa: NPY002
            for target, column in enumerate(select.T)
        ]
        by_group = [np.median(np.array(chosen)[groups == g]) for g in np.unique(groups)]
        values.append(by_group)
    return torch.from_numpy(np.mean(values, 0))


@pytest.mark.parametrize(("layers", "splits"), [(4, 10), (1, 10), (3, 5)])
@pytest.mark.parametrize("clip", [1.0, None])
def test_it_is_the_protocol_step_by_step(layers: int, splits: int, clip: float | None) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0.9, 0.4, size=(layers, 30, splits)).round(1)  # ties, and values over 1
    scores[:, 5] = 0.0
    groups = rng.integers(0, 4, 30)
    found = heldout_best_layer(torch.from_numpy(scores), torch.from_numpy(groups), clip=clip)
    expected = literal(scores, groups, 10, clip)
    torch.testing.assert_close(found.per_group, expected, rtol=1e-12, atol=1e-12)
    assert found.score == pytest.approx(float(expected.mean()))
    assert found.layer.shape == (10, 30)


def test_a_planted_layer_is_found() -> None:
    scores = 0.05 * torch.randn(6, 200, 10, generator=torch.Generator().manual_seed(0)).double()
    scores[3] += 0.4
    found = heldout_best_layer(scores, torch.arange(200) // 50)
    assert bool((found.layer == 3).all())
    assert found.score == pytest.approx(0.4, abs=0.01)


@pytest.mark.long
def test_a_null_is_not_overstated() -> None:
    """Choosing and scoring on the same splits rises with the number of layers; this does not."""
    scores = torch.randn(20, 500, 10, generator=torch.Generator().manual_seed(1)).double()
    held = heldout_best_layer(scores, torch.zeros(500, dtype=torch.long), clip=None)
    same = scores.quantile(0.5, -1).max(0).values.median()
    assert abs(held.score) < 0.05
    assert float(same) > 0.5


def test_order_of_groups_and_bad_input() -> None:
    scores = torch.rand(2, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    groups = torch.tensor([7, 2, 7, 2, 5, 5])
    assert heldout_best_layer(scores, groups).per_group.shape == (3,)
    with pytest.raises(ValueError, match="needs two"):
        heldout_best_layer(scores[..., :1], groups)
    scores[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match="layer 1, target 2, split 3"):
        heldout_best_layer(scores, groups)
