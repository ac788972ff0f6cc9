"""From events to labels of frames, and back from frames to events."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from alignment.probe_metrics import Event


def sounding(
    events: Sequence[Event], classes: Sequence[str], frames: int, rate: float, offset: float
) -> Bool[Tensor, "frames classes"]:
    """Which classes sound at the centre of each frame.

    Parameters
    ----------
    events : sequence of (label, onset, offset)
        In seconds; an event sounds from its onset to before its offset.
    classes : sequence of str
    frames : int
    rate : float
        Frames a second.
    offset : float
        Centre of frame 0 (s).
    """
    columns = {label: column for column, label in enumerate(classes)}
    table = torch.zeros(frames, len(classes), dtype=torch.bool)
    for label, onset, end in events:
        first, last = (max(0, math.ceil((t - offset) * rate - 1e-6)) for t in (onset, end))
        table[first:last, columns[label]] = True
    return table


def median_filtered(
    active: Bool[Tensor, "frames classes"], width: int
) -> Bool[Tensor, "frames classes"]:
    """Median over ``width`` frames (an odd number) around each; clips are mirrored at their ends.

    A frame is on where most frames of its window are.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"a median filter of {width} frames: expected an odd number of 1 or more")
    frames = len(active)
    if width == 1 or not frames:
        return active
    window = torch.arange(-(width // 2), frames + width // 2) % (2 * frames)
    mirrored = active[torch.minimum(window, 2 * frames - 1 - window)]
    total = torch.nn.functional.pad(mirrored.to(torch.int32).cumsum(0), (0, 0, 1, 0))
    return 2 * (total[width:] - total[:-width]) > width


def odd_width(seconds: float, rate: float) -> int:
    """The odd number of frames that is nearest to a length in time."""
    return 2 * max(0, round((seconds * rate - 1) / 2)) + 1


def events_of(
    active: Bool[Tensor, "frames classes"],
    classes: Sequence[str],
    rate: float,
    offset: float,
    shortest: float = 0.0,
) -> list[Event]:
    """Runs of frames that are on, as events from the edge of the first to that of the last.

    Parameters
    ----------
    active : tensor of shape (frames, classes), bool
    classes : sequence of str
    rate, offset : float
        Frames a second, and centre of frame 0 (s).
    shortest : float
        Shorter events are left out (s).
    """
    step = torch.nn.functional.pad(active.T.to(torch.int8), (1, 1)).diff(dim=1)
    column, first = (step == 1).nonzero(as_tuple=True)
    last = (step == -1).nonzero(as_tuple=True)[1]
    long = (last - first) / rate >= shortest - 1e-9
    onsets = ((first[long] - 0.5) / rate + offset).clamp_min(0).tolist()
    ends = ((last[long] - 0.5) / rate + offset).tolist()
    return [
        (classes[c], onset, end)
        for c, onset, end in zip(column[long].tolist(), onsets, ends, strict=True)
    ]
