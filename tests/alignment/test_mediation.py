"""The mediated share against partial correlations by regression of ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from alignment.mediation import mediated_share
from alignment.rsa import compare
from tests.alignment.test_inference import noise


def regressed(x: Tensor, y: Tensor, z: Tensor) -> float:
    """Correlation of the residuals of ranks once those of z are taken out, step by step."""
    design = np.column_stack([np.ones(len(x)), stats.rankdata(z)])
    left = [r - design @ np.linalg.lstsq(design, r)[0] for r in map(stats.rankdata, (x, y))]
    return float(np.corrcoef(*left)[0, 1])


def share(p: Tensor, e: Tensor, m: Tensor) -> Tensor:
    return mediated_share(compare(p, e), compare(p, m), compare(e, m))


def test_the_share_is_that_of_partial_correlations() -> None:
    m = noise(3, 200)
    p, e = m + noise(3, 200, seed=1), m + noise(3, 200, seed=2)
    found = share(p, e, m)
    assert found.shape == (3,)
    for k in range(3):
        whole = stats.spearmanr(p[k], e[k]).statistic
        expected = 1 - (regressed(p[k], e[k], m[k]) / whole) ** 2
        assert found[k].item() == pytest.approx(expected, abs=1e-9)


def test_known_cases() -> None:
    m = noise(20_000)
    one, other = noise(20_000, seed=1), noise(20_000, seed=2)
    # All of it through the model; none of it; and a model that hides it (a suppressor).
    assert share(m + one, m + other, m).item() == pytest.approx(1, abs=0.01)
    assert share(m + one, m + other, noise(20_000, seed=3)).abs() < 0.01
    assert share(one, one + 3 * m, m) < -1
    # No relation at all, and a model that is the prosody itself.
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    y = torch.tensor([2.0, 1.0, 0.0, 1.0, 2.0])
    assert share(x, y, one[:5].float()) == 0
    assert share(one, one + m, one.exp()).isnan()
