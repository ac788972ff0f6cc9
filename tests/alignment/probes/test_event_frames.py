"""Frames and events: literal loops, and there and back again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from alignment.probes.event_frames import event_table, filter_median, label_frames, odd_width

DOG, CAT = 0, 1


def table(seed: int, frames: int = 60, share: float = 0.5) -> Tensor:
    return torch.rand(frames, 2, generator=torch.Generator().manual_seed(seed)) < share


def test_a_frame_has_what_sounds_at_its_centre() -> None:
    events = [(DOG, 0.1, 0.3), (CAT, 0.0, 0.02), (CAT, 0.47, 9.0), (DOG, 0.33, 0.37)]
    found = label_frames(torch.tensor(events), 2, 10, 20.0, 0.025)
    for frame in range(10):
        centre = 0.025 + frame / 20
        for column in (DOG, CAT):
            held = any(e[0] == column and e[1] <= centre < e[2] for e in events)
            assert bool(found[frame, column]) == held
    assert found.sum() == 4 + 1  # the two shortest lie between centres


@pytest.mark.parametrize("width", [1, 3, 5, 9, 121])
@pytest.mark.parametrize("seed", range(3))
def test_the_median_filter_is_a_loop_and_scipys(seed: int, width: int) -> None:
    active = table(seed)
    found = filter_median(active, width)
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
    assert filter_median(torch.zeros(0, 2, dtype=torch.bool), 5).shape == (0, 2)
    with pytest.raises(ValueError, match="median filter of 4 frames: expected an odd number"):
        filter_median(table(0), 4)
    assert [odd_width(0.25, rate) for rate in (20.0, 18.75, 12.5, 4.0, 1.0)] == [5, 5, 3, 1, 1]


@pytest.mark.parametrize("shortest", [0.0, 0.1, 0.125, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_events_are_what_a_loop_over_frames_finds(seed: int, shortest: float) -> None:
    active, rate, offset = table(seed, share=0.7), 20.0, 0.03
    expected = []
    for column in (DOG, CAT):
        began = None
        for frame in range(len(active) + 1):
            on = frame < len(active) and bool(active[frame, column])
            if on and began is None:
                began = frame
            if not on and began is not None:
                if (frame - began) / rate >= shortest - 1e-9:
                    onset = max(0.0, offset + (began - 0.5) / rate)
                    expected.append((column, onset, offset + (frame - 0.5) / rate))
                began = None
    found = event_table(active, rate, offset, shortest)
    assert len(found) == len(expected) > 0
    torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_events_on_the_grid_come_back() -> None:
    events = torch.tensor([(DOG, 0.0, 0.2), (DOG, 0.5, 1.0), (CAT, 0.15, 2.0)]).double()
    active = label_frames(events, 2, 40, 20.0, 0.025)
    torch.testing.assert_close(event_table(active, 20.0, 0.025), events, atol=1e-6, rtol=0)
    silence = event_table(torch.zeros(40, 2, dtype=torch.bool), 20.0, 0.025)
    assert silence.shape == (0, 3)
    assert not label_frames(silence, 2, 40, 20.0, 0.025).any()
