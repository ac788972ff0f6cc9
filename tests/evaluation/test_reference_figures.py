"""The small tasks at hand give the figures that were found for the same features elsewhere.

Features and classifiers: docs/probes.md. Elsewhere folds were drawn by scikit-learn's
``StratifiedKFold(5, shuffle=True, random_state=0)`` where the task has none of its own.
"""

from __future__ import annotations

import pytest

from evaluation.downstream.probes import Logistic, Neighbours
from evaluation.downstream.probing import SHUFFLED, ClassificationProbe
from evaluation.evaluate import evaluate
from models.external.baselines.logmel64 import LogMel64
from tests.datasets import benchmark_or_skip

FIGURES = {
    "fsdd": (0.527, 0.372),
    "philharmonia_instrument": (0.791, 0.623),
    "philharmonia_chroma": (0.740, 0.639),
    "natsound_category": (0.343, 0.282),
}
"""Accuracy by logistic regression with C = .1, and by ten neighbours."""


@pytest.fixture
def task(name: str) -> ClassificationProbe:
    made: ClassificationProbe = benchmark_or_skip(f"probe/{name}")
    made.probes, made.pooling = [Logistic((0.1,)), Neighbours()], "mean"
    return made


@pytest.mark.long
@pytest.mark.data
@pytest.mark.parametrize("name", FIGURES)
def test_baseline_figures(name: str, task: ClassificationProbe) -> None:
    result = evaluate(LogMel64(), [task, task.controls()[SHUFFLED]])
    assert not result.failures
    rows = [row for row in result.scores if not row.target]
    for row, figure in zip(rows[:2], FIGURES[name], strict=True):
        folds = [r.value for r in result.scores[: len(result.scores) // 2] if r.target]
        assert row.ci_low < figure < row.ci_high
        assert abs(row.value - figure) < (0.03 if row.n > 200 else 0.07), folds
    for row in rows[2:]:
        majority = max(row.chance, 0.26 if name == "natsound_category" else 0)
        assert row.value < majority + 0.05
