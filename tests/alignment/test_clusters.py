"""Many tests at once: clusters against MNE, adjusted p-values against scipy, error rates."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
import torch
from scipy import sparse, stats

from alignment.clusters import max_test
from alignment.inference import cluster_test, fdr_bh
from tests.alignment.test_inference import noise

Tail = Literal[-1, 0, 1]


def effects(*shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth noise over time, with an effect of one sign and later one of the other."""
    x = noise(*shape, seed=seed)
    x = x + 0.6 * x.roll(1, 1) + 0.3 * x.roll(2, 1)
    x[:, 4:9] += 0.8
    x[:, 14:17] -= 0.9
    return x


def ring(channels: int) -> sparse.csr_array:
    """Channels on a circle, beside their own neighbours."""
    matrix = np.eye(channels) + np.eye(channels, k=1) + np.eye(channels, k=-1)
    matrix[0, -1] = matrix[-1, 0] = 1
    return sparse.csr_array(matrix)


def same_as_mne(x: torch.Tensor, tail: Tail, adjacency: sparse.csr_array | None, n: int) -> None:
    cluster_level = pytest.importorskip("mne.stats.cluster_level")
    arguments = {"n_permutations": n + 1, "tail": tail, "rng": 0, "verbose": "error"}
    if adjacency is None:
        test = cluster_level.permutation_cluster_1samp_test
        t, clusters, p, _ = test(x.numpy(), out_type="mask", adjacency=None, **arguments)
        clusters = [np.broadcast_to(_mask(part, t.shape), t.shape) for part in clusters]
    else:
        test = cluster_level.spatio_temporal_cluster_1samp_test
        t, clusters, p, _ = test(x.numpy(), adjacency=adjacency, out_type="mask", **arguments)
    found = cluster_test(x, adjacency, n=n, tail=tail)
    np.testing.assert_allclose(found.t, t, rtol=1e-9)
    assert len(found.mass) == len(clusters) > 0
    # One-sided, MNE enumerates the observed signs twice and their opposite not at all.
    tolerance = 0.03 if len(found.null) == n else abs(tail) / 2 ** len(x)
    for mask, expected in zip(clusters, p, strict=True):
        (number,) = np.unique(found.labels.numpy()[mask])
        assert (found.labels.numpy() == number).sum() == mask.sum()
        np.testing.assert_allclose(found.mass[number - 1], t[mask].sum(), rtol=1e-9)
        assert found.p[number - 1].item() == pytest.approx(expected, abs=tolerance + 1e-12)
        assert (found.p_map.numpy()[mask] == found.p[number - 1].item()).all()
    assert (found.p_map[found.labels == 0] == 1).all()


def _mask(part: np.ndarray | tuple[slice, ...], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[part] = True
    return mask


@pytest.mark.parametrize("tail", [-1, 0, 1])
@pytest.mark.parametrize("subjects", [9, 11])
def test_time_courses_are_mnes_exact_test(tail: Tail, subjects: int) -> None:
    same_as_mne(effects(subjects, 30), tail, None, n=5000)


@pytest.mark.parametrize("tail", [-1, 0, 1])
def test_time_and_channels_are_mnes_exact_test(tail: Tail) -> None:
    same_as_mne(effects(8, 20, 7), tail, ring(7), n=1000)


def test_a_plane_without_adjacency_is_mnes_lattice() -> None:
    same_as_mne(effects(8, 20, 5), 0, None, n=1000)


def test_drawn_sign_patterns_are_close_to_mnes() -> None:
    same_as_mne(effects(20, 30), 0, None, n=2000)


def test_the_threshold_is_that_of_the_forming_p() -> None:
    x = effects(9, 30)
    for tail, p in ((0, 0.05), (1, 0.01), (-1, 0.2)):
        threshold = stats.t.ppf(1 - p / (2 if tail == 0 else 1), 8)
        one = cluster_test(x, tail=tail, forming_p=p)
        other = cluster_test(x, tail=tail, threshold=threshold)
        assert one.labels.equal(other.labels)
        assert one.null.equal(other.null)


def test_a_dense_adjacency_is_the_sparse_one() -> None:
    x = effects(8, 20, 7)
    one, other = cluster_test(x, ring(7)), cluster_test(x, torch.from_numpy(ring(7).toarray()))
    assert one.labels.equal(other.labels)
    assert one.p.equal(other.p)
    # Without neighbours, points of one time are never in one cluster.
    alone = cluster_test(x, torch.eye(7))
    assert all(len(row[row > 0].unique()) == (row > 0).sum() for row in alone.labels)


def test_nothing_over_the_threshold_is_no_cluster() -> None:
    found = cluster_test(noise(6, 10), threshold=1e9)
    assert found.mass.shape == found.p.shape == (0,)
    assert not found.labels.any()
    assert (found.p_map == 1).all()


def test_points_without_any_effect_or_any_noise_do_no_harm() -> None:
    x = noise(7, 12)
    x[:, :3], x[:, 8:] = 0, 1
    found = cluster_test(x)
    assert found.t[:3].tolist() == [0, 0, 0]
    assert found.t.isfinite().all()
    # Only one of the 2^6 distinct patterns is as extreme.
    assert found.p[found.labels[-1] - 1] == 1 / 64


def test_planted_effects_are_found_where_they_are() -> None:
    x = noise(20, 60)
    x[:, 20:30] += 1.5
    found = cluster_test(x, n=500)
    assert found.p[0] == 1 / 501
    assert (found.labels[20:30] == 1).all()
    assert ((found.p_map < 0.05).nonzero()[:, 0] - 25).abs().max() <= 8


@pytest.mark.long
def test_the_family_wise_error_is_kept() -> None:
    smooth = torch.ones(1, 1, 9, dtype=torch.float64)
    hits = 0
    for seed in range(150):
        x = torch.nn.functional.conv1d(noise(12, 1, 60, seed=seed), smooth)[:, 0]
        found = cluster_test(x, n=199, seed=seed)
        hits += bool((found.p <= 0.05).any())
    assert hits / 150 <= 0.09


def test_what_cannot_be_tested_is_named() -> None:
    with pytest.raises(ValueError, match="1 subjects"):
        cluster_test(noise(1, 5))
    with pytest.raises(ValueError, match="finite"):
        cluster_test(torch.full((4, 5), torch.nan))
    with pytest.raises(ValueError, match=r"\(6, 6\): expected .* \(7, 7\)"):
        cluster_test(noise(5, 10, 7), torch.eye(6))


@pytest.mark.parametrize("shape", [(1,), (40,), (3, 4, 12)])
def test_adjusted_p_values_are_scipys(shape: tuple[int, ...]) -> None:
    p = torch.special.ndtr(noise(*shape) - 1).round(decimals=2)  # ties
    expected = stats.false_discovery_control(p.numpy(), axis=-1)
    np.testing.assert_allclose(fdr_bh(p), expected, rtol=1e-12)


def test_missing_p_values_stay_and_do_not_count() -> None:
    p = torch.tensor([[0.01, torch.nan, 0.04, 0.03, torch.nan], [torch.nan] * 5])
    found = fdr_bh(p)
    assert found.isnan().equal(p.isnan())
    torch.testing.assert_close(found[0, [0, 2, 3]], fdr_bh(p[0, [0, 2, 3]]))
    with pytest.raises(ValueError, match="outside"):
        fdr_bh(torch.tensor([0.5, 1.5]))


def test_the_false_discovery_rate_is_kept() -> None:
    shares = []
    for seed in range(200):
        z = noise(100, seed=seed)
        z[:20] -= 3
        found = fdr_bh(torch.special.ndtr(z)) <= 0.1
        shares.append(float(found[20:].sum() / found.sum().clamp_min(1)))
        assert found[:20].sum() > 5
    assert np.mean(shares) < 0.1


def every_sign(x: torch.Tensor) -> list[float]:
    """p of each point by SciPy's t over all sign patterns, one after another."""
    observed = stats.ttest_1samp(x.numpy(), 0).statistic
    largest = [
        stats.ttest_1samp((np.array(signs)[:, None] * x.numpy()), 0).statistic.max()
        for signs in itertools.product((1, -1), repeat=len(x))
    ]
    return [float(np.mean(np.array(largest) >= t - 1e-9)) for t in observed]


def test_the_largest_point_of_every_sign_pattern_is_the_null() -> None:
    x = noise(7, 4, seed=5) + torch.tensor([0.0, 0.5, 1.5, -2.0])
    found = max_test(x)
    assert found.p.tolist() == pytest.approx(every_sign(x))
    assert found.null.shape == (127, 1)
    assert max_test(x, tail=-1).p.tolist() == pytest.approx(every_sign(-x))
    assert max_test(x, tail=0).p[3] == pytest.approx(2 * every_sign(-x)[3], abs=0.02)
    drawn = max_test(x, n=100).p
    assert (drawn - found.p).abs().max() < 0.15
    with pytest.raises(ValueError, match="1 subjects: expected two or more"):
        max_test(x[:1])


def test_points_that_say_the_same_cost_nothing() -> None:
    one = noise(8, 1, seed=2) + 0.6
    assert max_test(one.expand(8, 5)).p.tolist() == [float(max_test(one).p)] * 5


@pytest.mark.long
def test_layers_without_an_effect_are_found_as_often_as_they_should() -> None:
    found = [
        bool((max_test(noise(8, 6, seed=s) + noise(8, 1, seed=9000 + s)).p <= 0.05).any())
        for s in range(400)
    ]
    assert np.mean(found) <= 0.075
    assert np.mean(found) >= 0.02
