"""Peaks along the layers and ceilings over people, against known and independent values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alignment.rsa import rdm
from alignment.series.metrics import METRICS
from evaluation.quantities import Quantity
from evaluation.time.depth import ceiling, depth_rows
from evaluation.time.pieces import Series
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates
from tests.alignment.test_inference import noise
from tests.evaluation.people import N, benchmark, codes, layers_of, one, people

LAYERS = tuple("abcde")

LARGE = torch.full((N,), 10**9)
"""Of so many responses that the level is that of the others."""


def curve(peak: int, seed: int, spread: float) -> AgainstSurrogates:
    """Excess .2 lower with every layer away from the peak, on a level of its own."""
    level = torch.rand(N, 5, 3, 1, generator=torch.Generator().manual_seed(seed)).double()
    excess = -0.2 * (torch.arange(5) - peak).abs().double()[:, None, None]
    wiggle = spread * noise(N * 15, seed=seed + 1).view(N, 5, 3, 1)
    return AgainstSurrogates(
        level + excess + wiggle, level, LARGE, torch.zeros(2, 1, 5, 1), torch.arange(N) % 2
    )


def depth_scores(tested: dict[str, AgainstSurrogates]) -> list:
    rows = TimeRows("eeg/x", people(0.5, 3), torch.arange(N))
    return list(depth_rows(rows, {Quantity(name): c for name, c in tested.items()}, LAYERS))


def test_peaks_and_their_difference_are_those_planted() -> None:
    rows = depth_scores({"rsa_spearman": curve(1, 0, 0.3), "cka": curve(3, 5, 0.3)})
    assert one(rows, metric="peak_depth_rsa_spearman").value == 0.25
    assert one(rows, metric="peak_depth_cka").value == 0.75
    row = one(rows, metric="peak_depth_difference", target="rsa_spearman-cka")
    assert row.value == -0.5
    assert row.p is not None
    assert row.p < 0.01
    assert row.ci_low is not None
    assert row.ci_high is not None
    assert row.ci_low <= -0.5 <= row.ci_high < 0


@pytest.mark.long
def test_peaks_that_are_noise_do_not_differ() -> None:
    rows = depth_scores({"rsa_spearman": curve(2, 0, 5.0), "cka": curve(2, 5, 5.0)})
    row = one(rows, metric="peak_depth_difference", target="rsa_spearman-cka")
    assert row.p is not None
    assert row.p > 0.05
    assert row.ci_low is not None
    assert row.ci_high is not None
    assert row.ci_high - row.ci_low > 0.5


def series(y: list[torch.Tensor]) -> Series:
    index = torch.arange(len(y))
    return Series([[one[0]] for one in y], y, 0, index, index, torch.zeros_like(index))


def test_the_ceiling_is_rsatoolboxs() -> None:
    """Of dissimilarities over people, in every piece by itself."""
    rsatoolbox = pytest.importorskip("rsatoolbox")
    y = [noise(40, 12, seed=s).view(4, 10, 12) for s in range(3)]
    people = [rsatoolbox.rdm.RDMs(rdm(one).numpy()) for one in y]
    expected = [rsatoolbox.inference.boot_noise_ceiling(one, method="corr") for one in people]
    found = ceiling(METRICS["rsa_pearson"], series(y))
    assert found == pytest.approx(tuple(np.mean(expected, axis=0)))


@pytest.mark.parametrize("name", ["rsa_spearman", "cka_debiased", "dcor"])
def test_equal_people_reach_one_and_one_person_has_no_ceiling(name: str) -> None:
    same = [noise(10, 12, seed=s).expand(4, 10, 12) for s in range(3)]
    assert ceiling(METRICS[name], series(same)) == pytest.approx((1.0, 1.0))
    assert ceiling(METRICS[name], series([one[:1] for one in same])) is None
    assert ceiling(METRICS["procrustes"], series(same)) is None


@pytest.mark.long
def test_rows_carry_their_ceiling() -> None:
    features = layers_of(shallow=codes(2), planted=codes(1))
    rows = benchmark(people(0.5, 3), metrics={"plain": ["rsa_pearson"]}).score(features)
    low, high = (
        one(rows, metric="ceiling_rsa_pearson", target=target).value
        for target in ("lower", "upper")
    )
    assert 0 < low < high < 1
    own = [row for row in rows if row.metric == "rsa_pearson"]
    assert {row.ceiling for row in own} == {high}
    assert all(row.ceiling is None for row in rows if row.metric != "rsa_pearson")


@pytest.mark.long
def test_layers_are_compared_at_the_delay_of_the_response() -> None:
    """Without it there is nothing to compare: the response is late."""
    features = layers_of(shallow=codes(2), planted=codes(1), deep=codes(1) + 1.5 * codes(3))
    rows = benchmark(people(0.5, 2)).score(features)
    for name in ("lag_rsa_spearman", "lag_cka_debiased"):
        row = one(rows, metric=f"peak_depth_{name}")
        assert (row.value, row.ci_low, row.ci_high) == (0.5, 0.5, 0.5)
    target = "lag_rsa_spearman-lag_cka_debiased"
    assert one(rows, metric="peak_depth_difference", target=target).value == 0
