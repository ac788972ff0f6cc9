"""Differences between two encoders: who is better, and what is no difference at all."""

from __future__ import annotations

import pytest
from torch import Tensor

from datamodules.stimuli import ResponseSet
from evaluation.contrast import Comparable, Contrast, contrasts
from evaluation.evaluate import evaluate
from evaluation.features import Features
from evaluation.fmri.pepino2025 import Pepino2025
from evaluation.fmri.similarity import Similarity
from evaluation.fmri.tuckute2023 import Tuckute2023
from tests.evaluation.fmri.test_response_alignment import N, normal, responses
from tests.evaluation.toys import MeanBenchmark


class Stored:
    """Random vectors that lie ready."""

    name = "toy"
    layers = ("layer",)

    def __init__(self, seed: int, step: int | None = None) -> None:
        self.values, self.step = normal(seed, N, 7), step

    def lookup(self, names: list[str]) -> dict[str, Tensor]:
        return {"layer": self.values}


def features(spread: float, seed: int, y: Tensor) -> dict[str, Features]:
    """A layer of noise, and one that holds the responses in noise."""
    layer = y + spread * normal(seed, *y.shape)
    return {"noise": Features(normal(seed + 50, *y.shape)), "layer": Features(layer)}


def people(count: int, seed: int = 0) -> ResponseSet:
    """Participants of five voxels each."""
    y = responses(normal(seed, N, 5 * count))
    subjects = tuple(str(i // 5) for i in range(5 * count))
    return ResponseSet(y.stimuli, y.values, y.targets, y.folds, y.provenance, subjects=subjects)


@pytest.mark.long
@pytest.mark.parametrize(("build", "metric"), [(Pepino2025, "r2"), (Similarity, "rsa")])
def test_over_stimuli(build: type, metric: str) -> None:
    y = responses(normal(0, N, 4))
    benchmark = build("fmri/x", y)
    good, bad = features(0.5, 1, y.values), features(3.0, 2, y.values)
    assert isinstance(benchmark, Comparable)
    rows = benchmark.difference(good, bad)
    back = benchmark.difference(bad, good)
    assert {row.metric for row in rows} == {metric}
    targets = [*y.targets, ""] if metric == "r2" else [""]
    assert [row.target for row in rows] == targets
    scores = [benchmark.score(f) for f in (good, bad)]
    for row, reverse in zip(rows, back, strict=True):
        found = [
            [r.value for r in s if (r.metric, r.layer) == (metric, "selected")] for s in scores
        ]
        if row.target:
            which = y.targets.index(row.target)
            assert row.value == pytest.approx(found[0][which] - found[1][which])
        else:
            means = [sum(values) / len(values) for values in found]
            assert row.value == pytest.approx(means[0] - means[1])
        assert row.value == pytest.approx(-reverse.value)
        assert row.p is not None
        assert row.p < 0.05
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert 0 < row.ci_low < row.value < row.ci_high
    for row in benchmark.difference(good, good):
        assert (row.value, row.p, row.ci_low, row.ci_high) == (0, 1, 0, 0)


@pytest.mark.long
@pytest.mark.parametrize("build", [Pepino2025, Similarity])
def test_over_participants(build: type) -> None:
    y = people(8)
    rows = build("fmri/x", y).difference(features(0.5, 1, y.values), features(3.0, 2, y.values))
    assert [row.subject for row in rows] == [*(str(i) for i in range(8)), ""]
    # All eight are better: no other pattern of signs but the reverse is as far from 0.
    assert all(row.value > 0 for row in rows)
    assert rows[-1].p == pytest.approx(2 / 2**8)
    assert rows[-1].value == pytest.approx(sum(row.value for row in rows[:-1]) / 8)


@pytest.mark.long
def test_a_contrast_is_a_benchmark_that_names_its_reference() -> None:
    similarity = Similarity("fmri/x", responses(normal(0, N, 4)))
    early, late = Stored(1, step=0), Stored(2)
    (contrast,) = contrasts([MeanBenchmark("probe/a"), similarity], early)
    assert isinstance(contrast, Contrast)
    rows = {encoder: evaluate(encoder, [contrast, similarity]).scores for encoder in (early, late)}
    (difference,) = [row for row in rows[late] if row.metric == "rsa_over_toy.step0"]
    own = [
        next(r for r in found if (r.metric, r.layer) == ("rsa", "selected")).value
        for found in rows.values()
    ]
    assert difference.value == pytest.approx(own[1] - own[0])
    assert [r.value for r in rows[early] if r.metric == "rsa_over_toy.step0"] == [0]


def test_a_reference_for_benchmarks_that_test_nothing_says_so() -> None:
    halves = Tuckute2023("fmri/halves", responses(normal(0, N, 4)))
    with pytest.raises(ValueError, match="none of fmri/halves tests a difference: choose"):
        list(contrasts([halves], Stored(0)))
