"""The mask is exact, hides gaps, and has the distribution of the published sampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.masking import gap_mask

CLIPS = 4000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sequential(
    length: int, longest: int, share: float, gap: int, rng: np.random.Generator
) -> np.ndarray:
    """The published sampler, step by step; no trim rule of its own where the original crashes."""
    mask, starts, wanted = np.zeros(length, bool), [], int(length * share)
    while mask.sum() < wanted:
        start = int(rng.integers(0, max(0, length - gap) + 1))
        starts.append(start)
        mask[start : min(start + gap, length)] = True
    excess = int(mask.sum()) - wanted
    if excess:
        begin = next((start for start in starts if start < longest - gap), starts[0])
        mask[begin : begin + excess] = False
    return mask


def runs(masks: np.ndarray) -> np.ndarray:
    """How many runs of masked frames each clip has."""
    return np.diff(masks.astype(int), axis=1, prepend=0).clip(0).sum(1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_exactly_the_share_of_every_length_is_masked(share: float) -> None:
    lengths = torch.arange(1, 151)
    for seed in range(3):
        mask = gap_mask(lengths, 150, share, 15, seeded(seed))
        assert mask.sum(1).tolist() == [int(length * share) for length in range(1, 151)]


def test_the_count_is_pythons_where_single_precision_would_round_the_other_way() -> None:
    for share, length in ((0.84, 300), (0.7, 90), (0.65, 180), (0.29, 100)):
        mask = gap_mask(torch.tensor([length]), length, share, 15, seeded())
        assert mask.sum() == int(length * share)


@pytest.mark.parametrize("length", [1, 2, 7, 14, 15, 16, 17, 20, 29, 30, 31, 300])
def test_the_count_is_exact_where_all_clips_are_as_short(length: int) -> None:
    mask = gap_mask(torch.full((500,), length), length, 0.5, 15, seeded(length))
    assert (mask.sum(1) == length // 2).all()


def test_padding_is_never_masked() -> None:
    lengths = torch.arange(1, 120)
    mask = gap_mask(lengths, 150, 0.8, 15, seeded())
    assert not (mask & (torch.arange(150) >= lengths[:, None])).any()


def test_share_zero_masks_nothing() -> None:
    assert not gap_mask(torch.tensor([10, 40]), 40, 0.0, 15, seeded()).any()


def test_the_generator_alone_decides() -> None:
    lengths = torch.full((8,), 100)
    torch.manual_seed(1)
    first = gap_mask(lengths, 100, generator=seeded(3))
    torch.manual_seed(2)
    assert torch.equal(first, gap_mask(lengths, 100, generator=seeded(3)))
    assert not torch.equal(first, gap_mask(lengths, 100, generator=seeded(4)))
    assert len({tuple(row.tolist()) for row in first}) == 8


@pytest.mark.parametrize(
    ("length", "longest", "share"), [(60, 60, 0.5), (40, 60, 0.5), (60, 60, 0.8), (20, 20, 0.5)]
)
def test_the_distribution_is_that_of_the_published_sampler(
    length: int, longest: int, share: float
) -> None:
    rng = np.random.default_rng(0)
    expected = np.stack([sequential(length, longest, share, 15, rng) for _ in range(CLIPS)])
    lengths = torch.tensor([longest] + [length] * CLIPS)
    got = gap_mask(lengths, longest, share, 15, seeded())[1:, :length].numpy()

    p, q = expected.mean(0), got.mean(0)
    error = np.sqrt((p * (1 - p) + q * (1 - q)) / CLIPS).clip(1e-3)
    assert (np.abs(p - q) / error).max() < 4.5
    spread = np.hypot(runs(expected).std(), runs(got).std()) / np.sqrt(CLIPS)
    assert abs(runs(expected).mean() - runs(got).mean()) < 4.5 * max(spread, 1e-3)


def test_edges_are_masked_less_often_than_the_middle() -> None:
    mask = gap_mask(torch.full((2000,), 100), 100, generator=seeded()).float().mean(0)
    assert mask[[0, 1, -2, -1]].max() < 0.2
    assert mask[20:80].mean() > 0.5


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5])
def test_a_share_outside_its_range_is_an_error(share: float) -> None:
    with pytest.raises(ValueError, match=f"{share}, expected 0 <= share < 1"):
        gap_mask(torch.tensor([10]), 10, share)
