"""From events to labels of frames, and back from frames to events."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def label_frames(
    events: Float[Tensor, "events 3"], classes: int, frames: int, rate: float, offset: float
) -> Bool[Tensor, "frames classes"]:
    """Which classes sound at the centre of each frame.

    Parameters
    ----------
    events : tensor of shape (events, 3)
        Number of the class, onset and offset (s); an event sounds from its onset to before its
        offset.
    classes, frames : int
    rate : float
        Frames a second.
    offset : float
        Centre of frame 0 (s).
    """
    table = torch.zeros(frames, classes, dtype=torch.bool)
    edges = ((events[:, 1:] - offset) * rate - 1e-6).ceil().clamp_min(0).long().tolist()
    for column, (first, last) in zip(events[:, 0].long().tolist(), edges, strict=True):
        table[first:last, column] = True
    return table


def filter_median(
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


def event_table(
    active: Bool[Tensor, "frames classes"], rate: float, offset: float, shortest: float = 0.0
) -> Float[Tensor, "events 3"]:
    """Runs of frames that are on, as events from the edge of the first to that of the last.

    Parameters
    ----------
    active : tensor of shape (frames, classes), bool
    rate, offset : float
        Frames a second, and centre of frame 0 (s).
    shortest : float
        Shorter events are left out (s).

    Returns
    -------
    tensor of shape (events, 3), float64
        Number of the class, onset and offset (s), in the order of classes and of time.
    """
    step = torch.nn.functional.pad(active.T.to(torch.int8), (1, 1)).diff(dim=1)
    column, first = (step == 1).nonzero(as_tuple=True)
    last = (step == -1).nonzero(as_tuple=True)[1]
    edges = (torch.stack([first, last], 1).double() - 0.5) / rate + offset
    long = (last - first).double() / rate >= shortest - 1e-9
    return torch.cat([column[:, None].double(), edges.clamp_min(0)], 1)[long]
