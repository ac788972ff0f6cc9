"""Layers of unequal width: scikit-learn's components; layers of one width stay as they are."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from alignment.probes.widths import equal_widths


def layers(*widths: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(30, width, generator=draw, dtype=torch.float64) for width in widths]


def test_layers_of_one_width_are_stacked() -> None:
    made = layers(4, 4)
    found = equal_widths(made, torch.arange(20))
    assert torch.equal(found[:, 0], made[0])
    assert torch.equal(found[:, 1], made[1])


def test_unequal_layers_become_components_of_the_training_rows() -> None:
    made, train = layers(4, 9), torch.arange(20)
    found = equal_widths(made, train)
    assert found.shape == (30, 2, 4)
    for place, layer in enumerate(made):
        peer = PCA(4, svd_solver="full").fit(layer[train].numpy()).transform(layer.numpy())
        np.testing.assert_allclose(found[:, place].abs(), np.abs(peer), atol=1e-9)


def test_there_are_no_more_components_than_training_rows() -> None:
    assert equal_widths(layers(12, 20), torch.arange(7)).shape == (30, 2, 7)
