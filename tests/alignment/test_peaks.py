"""Where curves peak, and bootstrap draws of it."""

from __future__ import annotations

import math

import pytest
import torch

from alignment.inference import percentile_interval
from alignment.peaks import peak_depth, peak_draws
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
    draws = peak_draws(a, 500) - peak_draws(b, 500)
    assert draws.shape == (500,)
    low, high = percentile_interval(draws)
    assert 0.3 < low <= peak_depth(a).depth - peak_depth(b).depth <= high
    assert draws.equal(peak_draws(a, 500) - peak_draws(b, 500))


def test_the_same_units_are_drawn_of_both() -> None:
    a, two = noise(15, 12), noise(6, 7, 12)
    assert peak_draws(a, 200).equal(peak_draws(a + 5, 200))
    assert peak_draws(two, 200).equal(peak_draws(2 * two, 200))


def test_subjects_and_sentences_are_each_drawn() -> None:
    a = noise(4, 5, 8)
    subjects, sentences = (
        torch.randint(size, (50, size), generator=torch.Generator().manual_seed(3 + axis))
        for axis, size in enumerate((4, 5))
    )
    for draw, s, u in zip(peak_draws(a, 50, 3), subjects, sentences, strict=True):
        assert draw.item() == pytest.approx(peak_depth(a[s][:, u]).depth)


def test_the_interval_holds_the_true_difference() -> None:
    held = 0
    for seed in range(100):
        a, b = curves(20, 11, 0.6, seed=seed), curves(20, 11, 0.4, seed=1000 + seed)
        low, high = percentile_interval(peak_draws(a, 200, seed) - peak_draws(b, 200, seed))
        held += low <= 0.2 + 1e-9 and high >= 0.2 - 1e-9
    assert held >= 90


def test_curves_that_cannot_be_compared_are_named() -> None:
    with pytest.raises(ValueError, match="1 unit"):
        peak_draws(noise(1, 5))
    with pytest.raises(ValueError, match="without NaN"):
        peak_depth(torch.full((3, 4), math.nan))
