"""Layers chosen by nested cross-validation: by loops, on noise, and where the best is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alignment.inference import positive_r2
from alignment.regression.layer_choice import layer_scores
from alignment.ridge import crossvalidated_prediction, loo_ridge, penalties

ALPHAS = penalties((-2, 4, 7))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_the_choice_is_that_of_loops() -> None:
    folds = torch.arange(40) % 4
    layers = [noise(40, 6, seed=s) for s in range(3)]
    y = torch.stack([layers[0][:, 0], layers[2][:, 1], noise(40, seed=9)], 1) + noise(40, 3, seed=7)
    found = layer_scores(layers, y, folds, ALPHAS)
    expected = torch.empty_like(y)
    for f in range(4):
        own = folds == f
        for v in range(3):
            scores = []
            for x in layers:
                inner = torch.empty(40, dtype=torch.float64)
                for g in range(4):
                    train, test = (folds != f) & (folds != g), folds == g
                    if g != f:
                        fit = loo_ridge(x[train], y[train], x[test], ALPHAS)
                        inner[test] = fit.prediction[:, v]
                scores.append(float(positive_r2(inner[~own][:, None], y[~own, v : v + 1])))
            best = int(np.argmax(scores))
            assert found.layer is not None
            assert found.layer[f, v] == best
            whole = crossvalidated_prediction(layers[best], y, folds, ALPHAS)
            expected[own, v] = whole[own, v]
    torch.testing.assert_close(found.selected, positive_r2(expected, y))
    by_layer = [positive_r2(crossvalidated_prediction(x, y, folds, ALPHAS), y) for x in layers]
    torch.testing.assert_close(found.by_layer, torch.stack(by_layer))


def test_one_layer_or_two_folds_choose_nothing() -> None:
    y = noise(20, 2, seed=3)
    assert layer_scores([noise(20, 3)], y, torch.arange(20) % 5, ALPHAS).selected is None
    two = layer_scores([noise(20, 3), noise(20, 3, seed=1)], y, torch.arange(20) % 2, ALPHAS)
    assert two.selected is None
    assert two.by_layer.shape == (2, 2)


@pytest.mark.long
def test_many_equal_layers_gain_nothing_by_choice_and_much_by_their_maximum() -> None:
    """Random projections of one signal: the maximum grows with their number, the choice less."""
    folds, chosen, highest = torch.arange(100) % 5, {1: [], 12: []}, {1: [], 12: []}
    for seed in range(12):
        z = noise(100, 12, seed=seed)
        y = z[:, :4] + 2 * noise(100, 4, seed=100 + seed)
        for count in (1, 12):
            layers = [z @ noise(12, 5, seed=1000 * seed + k) for k in range(count)]
            found = layer_scores(layers, y, folds, ALPHAS)
            selected = found.by_layer[0] if found.selected is None else found.selected
            chosen[count].append(float(selected.mean()))
            highest[count].append(float(found.by_layer.amax(0).mean()))
    gain = {k: np.mean(v[12]) - np.mean(v[1]) for k, v in (("max", highest), ("choice", chosen))}
    assert gain["max"] > 0.03
    assert gain["choice"] < 0.5 * gain["max"]


def test_the_planted_layer_is_chosen() -> None:
    layers = [noise(60, 8, seed=s) for s in range(4)]
    y = layers[2] @ noise(8, 3, seed=5) + 0.3 * noise(60, 3, seed=6)
    found = layer_scores(layers, y, torch.arange(60) % 5, ALPHAS)
    assert found.layer is not None
    assert bool((found.layer == 2).all())
    torch.testing.assert_close(found.selected, found.by_layer[2])
