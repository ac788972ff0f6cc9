"""Frames and events: literal loops, and there and back again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from alignment.event_frames import events_of, median_filtered, odd_width, sounding

CLASSES = ("dog", "cat")


def table(seed: int, frames: int = 60, share: float = 0.5) -> Tensor:
    return torch.rand(frames, 2, generator=torch.Generator().manual_seed(seed)) < share


def test_a_frame_has_what_sounds_at_its_centre() -> None:
    events = [("dog", 0.1, 0.3), ("cat", 0.0, 0.02), ("cat", 0.47, 9.0), ("dog", 0.33, 0.37)]
    found = sounding(events, CLASSES, 10, 20.0, 0.025)
    for frame in range(10):
        centre = 0.025 + frame / 20
        for column, label in enumerate(CLASSES):
            held = any(e[0] == label and e[1] <= centre < e[2] for e in events)
            assert bool(found[frame, column]) == held
    assert found.sum() == 4 + 1  # the two shortest lie between centres


@pytest.mark.parametrize("width", [1, 3, 5, 9, 121])
@pytest.mark.parametrize("seed", range(3))
def test_the_median_filter_is_a_loop_and_scipys(seed: int, width: int) -> None:
    active = table(seed)
    found = median_filtered(active, width)
    expected = median_filter(active.numpy().astype(int), size=(width, 1), mode="reflect")
    assert np.array_equal(found.numpy(), expected.astype(bool))
    if width < 60:
        for frame in range(60):
            inside = []
            for other in range(frame - width // 2, frame + width // 2 + 1):
                place = -1 - other if other < 0 else 119 - other if other >= 60 else other
                inside.append(active[place])
            assert torch.equal(found[frame], torch.stack(inside).sum(0) > width / 2)


def test_clips_without_frames_and_even_widths() -> None:
    assert median_filtered(torch.zeros(0, 2, dtype=torch.bool), 5).shape == (0, 2)
    with pytest.raises(ValueError, match="median filter of 4 frames: expected an odd number"):
        median_filtered(table(0), 4)
    assert [odd_width(0.25, rate) for rate in (20.0, 18.75, 12.5, 4.0, 1.0)] == [5, 5, 3, 1, 1]


@pytest.mark.parametrize("shortest", [0.0, 0.1, 0.125, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_events_are_what_a_loop_over_frames_finds(seed: int, shortest: float) -> None:
    active, rate, offset = table(seed, share=0.7), 20.0, 0.03
    expected = []
    for column, label in enumerate(CLASSES):
        began = None
        for frame in range(len(active) + 1):
            on = frame < len(active) and bool(active[frame, column])
            if on and began is None:
                began = frame
            if not on and began is not None:
                if (frame - began) / rate >= shortest - 1e-9:
                    onset = max(0.0, offset + (began - 0.5) / rate)
                    expected.append((label, onset, offset + (frame - 0.5) / rate))
                began = None
    found = events_of(active, CLASSES, rate, offset, shortest)
    assert len(found) == len(expected) > 0
    for got, wanted in zip(found, expected, strict=True):
        assert got[0] == wanted[0]
        assert got[1:] == pytest.approx(wanted[1:], abs=1e-5)


def test_events_on_the_grid_come_back() -> None:
    events = [("dog", 0.0, 0.2), ("dog", 0.5, 1.0), ("cat", 0.15, 2.0)]
    active = sounding(events, CLASSES, 40, 20.0, 0.025)
    found = events_of(active, CLASSES, 20.0, 0.025)
    assert [e[0] for e in found] == ["dog", "dog", "cat"]
    for got, wanted in zip(found, events, strict=True):
        assert got[1:] == pytest.approx(wanted[1:], abs=1e-6)
    assert events_of(torch.zeros(40, 2, dtype=torch.bool), CLASSES, 20.0, 0.025) == []
