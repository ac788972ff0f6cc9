"""Surrogates: who gets whose response, p-values against loops, and how often noise is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alignment.series.metrics import METRICS, similarity
from bench.false_positives import rate, series_of_noise
from evaluation.time.pieces import Draws, Series
from evaluation.time.statistics import AgainstSurrogates
from evaluation.time.surrogates import mismatch_surrogates
from tests.alignment.test_inference import noise

DRAWS = Draws(40, 5, 3)


def series(layers: int = 2, subjects: int = 2) -> Series:
    """Eight pieces of two positions, in two folds."""
    x = [[noise(20, 3, seed=10 * i + j) for j in range(layers)] for i in range(8)]
    y = [noise(subjects * 24, 4, seed=900 + i).view(subjects, 24, 4) for i in range(8)]
    index = torch.arange(8)
    return Series(x, y, 1, index // 4, index // 2, index % 2 * 20)


def test_partners_are_of_the_same_position_and_every_response_is_given_once() -> None:
    known = series()
    partner = known.partners(DRAWS)
    assert partner.shape == (40, 8)
    assert torch.equal(partner.sort(1).values, torch.arange(8).expand(40, 8))
    assert not (partner == torch.arange(8)).any()
    assert torch.equal(known.position[partner], known.position.expand(40, 8))
    counts = torch.stack([(partner == i).sum(0) for i in range(8)])
    others = (known.position[:, None] == known.position) & ~torch.eye(8, dtype=torch.bool)
    assert (counts[others] > 4).all()


@pytest.mark.long
@pytest.mark.parametrize("name", ["rsa_spearman", "cka_debiased", "procrustes"])
def test_values_levels_and_draws_are_those_of_a_loop(name: str) -> None:
    known, lags = series(), [0, 2]
    near = 1e-7 if name == "procrustes" else 1e-9  # roots of eigenvalues
    found = mismatch_surrogates(METRICS[name], known, DRAWS, known.spans(lags))
    partner = known.partners(DRAWS)

    def value(i: int, j: int, layer: int, subject: int, lag: int) -> float:
        y = known.y[j][subject, 1 + lag : 21 + lag]
        return float(similarity(name, known.x[i][layer][None], y[None])[0, 0])

    for layer in range(2):
        for k, lag in enumerate(lags):
            table = np.array([
                [[value(i, j, layer, s, lag) for j in range(8)] for i in range(8)] for s in range(2)
            ])  # fmt: skip
            observed = table[:, np.arange(8), np.arange(8)].T
            assert found.observed[:, layer, :, k].numpy() == pytest.approx(observed, abs=near)
            for i in range(8):
                others = [j for j in range(8) if j % 2 == i % 2 and j != i]
                expected = table[:, i, i] - table[:, i, others].mean(1)
                assert found.excess[i, layer, :, k].numpy() == pytest.approx(expected, abs=near)
            drawn = [table.mean(0)[np.arange(8), row].mean() for row in partner.numpy()]
            assert found.null_means()[:, layer, k].numpy() == pytest.approx(drawn, abs=near)


def test_the_choice_is_made_above_surrogates_on_other_folds() -> None:
    """Layer 0 is high by itself, layer 1 lies above its surrogates."""
    folds = torch.arange(6) // 3
    level = torch.zeros(6, 2, 1, 1, dtype=torch.float64)
    level[:, 0] = 0.9
    observed = level + torch.tensor([0.0, 0.1])[:, None, None]
    observed[:3, 0] += 0.5  # the first fold alone, which does not choose for itself
    null = torch.stack([level[folds == f].sum(0)[:, 0].expand(9, 2, 1) for f in range(2)])
    found = AgainstSurrogates(observed, level, torch.full((6,), 11), null, folds)
    assert found.choices() == [(1, 0), (0, 0)]
    held = found.held_out(found.excess)[:, 0]
    assert held.tolist() == pytest.approx([0.11, 0.11, 0.11, 0, 0, 0])
    assert found.selected_p() == 1 / 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "1/f"])
@pytest.mark.parametrize("name", ["rsa_spearman", "cka_debiased"])
def test_noise_is_found_no_more_often_than_it_should(name: str, kind: str) -> None:
    assert rate("mismatch", name, kind, runs=400) <= 0.07


@pytest.mark.slow
def test_the_choice_of_layer_and_lag_finds_no_more_in_noise() -> None:
    p = []
    for seed in range(300):
        parts = [series_of_noise("1/f", 1000 + 4 * seed + k) for k in range(3)]
        x = [[part.x[i][0][:80] for part in parts] for i in range(len(parts[0].x))]
        known = Series(x, *(getattr(parts[0], n) for n in ("y", "zero", "folds", "sentence")),
                       parts[0].position)  # fmt: skip
        spans = known.spans([0, 5, 10])
        draws = Draws(99, 5, seed)
        found = mismatch_surrogates(METRICS["cka_debiased"], known, draws, spans)
        p.append(found.selected_p())
    assert np.mean(np.array(p) <= 0.05) <= 0.07
