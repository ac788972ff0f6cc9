"""The detector from sums is scikit-learn's ridge on the frames themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from alignment.probes.frame_ridge import fit_detector, sums_of, total

ALPHAS = torch.logspace(-1, 4, 6, dtype=torch.float64)


def frames(n: int, seed: int, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Labels of three classes, and features that hold them far from the origin."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.rand(n, 3, generator=draw) < torch.tensor([0.5, 0.1, 0.03])
    mixing = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    x = labels.float() @ mixing + noise * torch.randn(n, 8, generator=draw) + 30
    return x.double(), labels


def test_the_detector_is_ridge_with_the_penalty_that_predicts_validation_best() -> None:
    (x, y), (xv, yv), (xt, _) = frames(300, 1), frames(200, 2), frames(50, 3)
    parts = [sums_of(a, b) for a, b in zip(x.split(70), y.split(70), strict=True)]
    found = fit_detector(total(parts), sums_of(xv, yv), ALPHAS)
    scaler = StandardScaler().fit(x)
    z, zv, zt = (scaler.transform(part) for part in (x, xv, xt))
    for c in range(3):
        fits = [Ridge(alpha=a).fit(z, y[:, c].double()) for a in ALPHAS.tolist()]
        errors = [np.square(f.predict(zv) - yv[:, c].numpy()).sum() for f in fits]
        best = int(np.argmin(errors))
        assert found.alpha[c] == ALPHAS[best]
        train, test = fits[best].predict(z), fits[best].predict(zt)
        off, on = train[~y[:, c].numpy()].mean(), train[y[:, c].numpy()].mean()
        expected = (test - off) / (on - off)
        assert found(xt)[:, c].numpy() == pytest.approx(expected, abs=1e-6)
    assert len(set(found.alpha.tolist())) > 1


def test_silence_lies_at_0_and_sound_at_1_in_training_frames() -> None:
    x, y = frames(500, 4)
    sums = sums_of(x, y)
    decisions = fit_detector(sums, sums, ALPHAS)(x)
    for c in range(3):
        assert decisions[~y[:, c], c].mean() == pytest.approx(0, abs=1e-8)
        assert decisions[y[:, c], c].mean() == pytest.approx(1, abs=1e-8)


def test_classes_that_always_or_never_sound_and_columns_that_do_not_vary() -> None:
    x, y = frames(200, 5)
    x[:, 3] = 1e4
    y[:, 0], y[:, 1] = True, False
    sums = sums_of(x, y)
    found = fit_detector(sums, sums, ALPHAS)
    decisions = found(x.float())
    assert decisions.dtype == torch.float32
    assert decisions[:, 0].eq(2).all()
    assert decisions[:, 1].eq(-1).all()
    assert decisions[y[:, 2], 2].mean() == pytest.approx(1, abs=1e-2)
    assert found.weights[3].eq(0).all()
