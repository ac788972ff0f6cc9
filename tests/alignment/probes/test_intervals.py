"""Bootstrap replicates: those of scikit-learn on drawn rows, and coverage of a known accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from alignment.inference import unit_counts
from alignment.probes.intervals import accuracy_replicates, precision_replicates


def test_replicates_of_accuracy_are_means_over_drawn_rows() -> None:
    hits = torch.rand(40, generator=torch.Generator().manual_seed(0)) < 0.6
    found = accuracy_replicates(hits, n=20, seed=3)
    for value, counts in zip(found, unit_counts(40, 20, 3), strict=True):
        drawn = hits.repeat_interleave(counts.long())
        assert float(value) == pytest.approx(float(drawn.double().mean()))


def test_replicates_of_precision_are_scikit_learns_with_ties() -> None:
    draw = torch.Generator().manual_seed(1)
    scores = torch.randn(60, 3, generator=draw).round(decimals=1)
    targets = torch.rand(60, 3, generator=draw) < torch.tensor([0.3, 0.5, 0.02])
    targets[0, 2] = True
    found = precision_replicates(scores, targets, n=25, seed=2)
    for value, counts in zip(found, unit_counts(60, 25, 2), strict=True):
        rows = torch.arange(60).repeat_interleave(counts.long())
        own = [
            average_precision_score(targets[rows, c], scores[rows, c])
            for c in range(3)
            if targets[rows, c].any()
        ]
        assert float(value) == pytest.approx(np.mean(own))


def test_intervals_hold_the_true_accuracy_as_often_as_they_say() -> None:
    truth, held = 0.7, 0
    for trial in range(200):
        hits = torch.rand(300, generator=torch.Generator().manual_seed(trial)) < truth
        low, high = accuracy_replicates(hits, n=400, seed=trial).quantile(
            torch.tensor([0.025, 0.975], dtype=torch.float64)
        )
        held += bool(low <= truth <= high)
    assert 0.9 <= held / 200 <= 0.985
