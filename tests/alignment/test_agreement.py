"""Concordance, peaks, ceilings and reliabilities, against scipy, rsatoolbox and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from alignment.agreement import (
    bootstrap_peak_difference,
    intersubject_ceiling,
    peak_depth,
    split_half_reliability,
)
from alignment.inference import kendall_w
from tests.alignment.test_inference import noise


def curves(units: int, layers: int, peak: float, seed: int = 0) -> torch.Tensor:
    """Noisy curves that are highest at a relative depth."""
    depth = torch.linspace(0, 1, layers, dtype=torch.float64)
    return 1 - (depth - peak) ** 2 + 0.05 * noise(units, layers, seed=seed)


def test_the_peak_is_that_of_the_mean() -> None:
    values = torch.tensor([[0.0, 3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0, 0.0]])
    assert peak_depth(values).depth == 0.25
    assert not peak_depth(values).tied
    assert peak_depth(values.flip(1)).depth == 0.75
    assert peak_depth(values.view(1, 2, 5)).depth == 0.25


def test_ties_and_flat_curves_are_told() -> None:
    tied = peak_depth(torch.tensor([[0.1, 0.3, 0.1 + 0.2, 0.0, 0.3]], dtype=torch.float64))
    assert (tied.tied, tied.flat) == (True, False)
    assert tied.depth == pytest.approx((0.25 + 0.5 + 1) / 3)
    flat = peak_depth(torch.full((3, 6), 0.7))
    assert (flat.depth, flat.tied, flat.flat) == (pytest.approx(0.5), True, True)
    near = torch.tensor([[0.1, 0.30, 0.29]])
    assert not peak_depth(near).tied
    assert peak_depth(near, tolerance=0.02).tied


def test_a_difference_of_peaks_is_found() -> None:
    a, b = curves(20, 13, 0.75), curves(20, 25, 0.25, seed=1)
    found = bootstrap_peak_difference(a, b, n=500)
    assert found.difference == pytest.approx(0.5, abs=0.1)
    assert found.low <= found.difference <= found.high
    assert found.low > 0.3
    assert found.draws.shape == (500,)
    assert found.draws.equal(bootstrap_peak_difference(a, b, n=500).draws)


def test_the_same_units_are_drawn_of_both() -> None:
    a = noise(15, 12)
    assert bootstrap_peak_difference(a, a + 5, n=200).draws.eq(0).all()
    two = noise(6, 7, 12)
    assert bootstrap_peak_difference(two, 2 * two, n=200).draws.eq(0).all()


def test_subjects_and_sentences_are_each_drawn() -> None:
    a, b = noise(4, 5, 8), noise(4, 5, 8, seed=1)
    found = bootstrap_peak_difference(a, b, n=50, seed=3)
    subjects, sentences = (
        torch.randint(size, (50, size), generator=torch.Generator().manual_seed(3 + axis))
        for axis, size in enumerate((4, 5))
    )
    for draw, s, u in zip(found.draws, subjects, sentences, strict=True):
        peaks = [peak_depth(x[s][:, u]).depth for x in (a, b)]
        assert draw.item() == pytest.approx(peaks[0] - peaks[1])


def test_the_interval_holds_the_true_difference() -> None:
    held = 0
    for seed in range(100):
        a, b = curves(20, 11, 0.6, seed=seed), curves(20, 11, 0.4, seed=1000 + seed)
        found = bootstrap_peak_difference(a, b, n=200, seed=seed)
        held += found.low <= 0.2 + 1e-9 and found.high >= 0.2 - 1e-9
    assert held >= 90


def test_curves_that_cannot_be_compared_are_named() -> None:
    with pytest.raises(ValueError, match="1 unit"):
        bootstrap_peak_difference(noise(1, 5), noise(1, 5))
    with pytest.raises(ValueError, match="without NaN"):
        peak_depth(torch.full((3, 4), math.nan))


@pytest.mark.parametrize(("method", "theirs"), [("pearson", "corr"), ("spearman", "spearman")])
def test_the_ceiling_is_rsatoolboxs(method: str, theirs: str) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    d = noise(45) + 0.7 * noise(9, 45, seed=1)
    d = d * torch.linspace(1, 4, 9)[:, None] + 5
    rdms = rsatoolbox.rdm.RDMs(d.numpy())
    expected = rsatoolbox.inference.boot_noise_ceiling(rdms, method=theirs)
    found = intersubject_ceiling(d, method)
    # Sums of ranks tie, and rounding breaks their ties in one of the two.
    np.testing.assert_allclose(
        (found.lower, found.upper), expected, rtol=1e-9 if method == "pearson" else 1e-3
    )


def test_the_ceiling_holds_the_best_model() -> None:
    shared = noise(300)
    d = shared + 1.5 * noise(12, 300, seed=1)
    found = intersubject_ceiling(d)
    best = np.corrcoef(torch.cat([shared[None], d]))[0, 1:].mean()
    assert found.lower < best < found.upper
    unrelated = intersubject_ceiling(noise(12, 300))
    assert abs(unrelated.lower) < 0.03
    assert unrelated.upper > 0.2
    batch = intersubject_ceiling(torch.stack([d, noise(12, 300)]))
    torch.testing.assert_close(batch.lower, torch.stack([found.lower, unrelated.lower]))
    with pytest.raises(ValueError, match="1 subject"):
        intersubject_ceiling(noise(1, 10))


@pytest.mark.parametrize("units", [2, 10, 11])
def test_split_halves_give_the_reliability_of_the_mean(units: int) -> None:
    values = noise(3000) + 2 * noise(units, 3000, seed=1)
    even = 2 * (units // 2)
    assert split_half_reliability(values).item() == pytest.approx(1 / (1 + 4 / even), abs=0.03)
    assert abs(split_half_reliability(noise(units, 3000))) < 0.1
    batch = split_half_reliability(values.expand(2, units, 3000))
    torch.testing.assert_close(batch[0], split_half_reliability(values))
    with pytest.raises(ValueError, match="1 unit"):
        split_half_reliability(values[:1])


@pytest.mark.parametrize("tied", [False, True])
def test_kendalls_w_is_that_of_friedmans_test(tied: bool) -> None:
    ratings = noise(5, 12) + noise(12, seed=1)
    ratings = ratings.round() if tied else ratings
    friedman = stats.friedmanchisquare(*ratings.T.numpy()).statistic
    found = kendall_w(ratings)
    assert found.w == pytest.approx(friedman / (5 * 11))
    assert found.p is None
    for i in range(5):
        for j in range(5):
            expected = stats.kendalltau(ratings[i], ratings[j]).statistic
            assert found.tau[i, j].item() == pytest.approx(expected)


def test_raters_that_agree_have_a_w_of_one() -> None:
    one = noise(8)
    same = kendall_w(torch.stack([one, one.exp(), 3 * one + 1]), n=999)
    assert same.w == pytest.approx(1)
    assert same.p == 1 / 1000
    assert same.tau.min() == pytest.approx(1)
    opposite = kendall_w(torch.stack([one, -one]))
    assert opposite.w == pytest.approx(0)
    assert opposite.tau[0, 1] == pytest.approx(-1)


def test_raters_that_know_nothing_have_a_small_w_and_even_p_values() -> None:
    found = [kendall_w(noise(8, 12, seed=s), n=99, seed=s) for s in range(200)]
    assert np.mean([f.w for f in found]) == pytest.approx(1 / 8, abs=0.01)
    assert np.mean([f.p <= 0.05 for f in found]) <= 0.09
    assert np.mean([f.p for f in found]) == pytest.approx(0.5, abs=0.06)


def test_ratings_that_say_nothing_have_no_w() -> None:
    tied = kendall_w(torch.ones(3, 6), n=20)
    assert math.isnan(tied.w)
    assert tied.p is None
    with pytest.raises(ValueError, match=r"\(1, 6\)"):
        kendall_w(noise(1, 6))
