"""How many frames a layer makes of a clip and when they are: found by counting them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

LONGEST = 32
"""Seconds of the longest clip that is tried to find the hop of a layer."""

Counts = Callable[[int], Mapping[str, int]]
"""Number of frames of every layer for a clip of so many samples."""


@dataclass(frozen=True)
class Clock:
    """Frames of one layer: ``n(samples) = floor((samples - start) / hop)``.

    Any chain of strided convolutions, spectrogram frames and pooling follows this formula, as
    does rounding up. Without ``hop`` there is one frame a clip, whatever its length.

    Parameters
    ----------
    hop : Fraction or None
        Samples between frames.
    start : Fraction
        Samples.
    centre : Fraction
        Centre of frame 0, in samples.
    most : int, optional
        Frames that are made at once, where the model takes clips of a fixed length.
    """

    hop: Fraction | None = None
    start: Fraction = Fraction(0)
    centre: Fraction = Fraction(0)
    most: int | None = None

    def frames(self, samples: int) -> int:
        """Frames of a clip, at least 0."""
        if self.hop is None:
            return 1
        return max(0, math.floor((samples - self.start) / self.hop))

    def at_once(self, samples: int) -> int:
        """Frames of a clip that is encoded in one piece."""
        frames = self.frames(samples)
        return frames if self.most is None else min(self.most, frames)


def within_window(frames: int, window: int, hop: Fraction | None = None) -> Clock:
    """The clock of a layer that always makes ``frames`` of a window, however short the clip is.

    Frames count whose centre lies inside the clip. They lie in the middle of equal shares of the
    window, or of hops where ``hop``, in samples, is known.
    """
    if frames == 1:
        return Clock()
    hop = hop or Fraction(window, frames)
    return Clock(hop, 1 - hop / 2, hop / 2, frames)


def measure_rate(counts: Counts, sample_rate: int, first: int) -> dict[str, Clock]:
    """The clock of every layer, from the lengths at which it makes one more frame.

    Two such lengths, from ``first`` samples on and far apart, are found by bisection: their
    distance over the number of frames between them is the hop. The first frame is taken to be
    centred on the samples that are needed for it, ``(start + hop) / 2``, as is
    exact where padding is as wide on either side.
    """
    known: dict[int, Mapping[str, int]] = {}

    def count(samples: int) -> Mapping[str, int]:
        if samples not in known:
            known[samples] = counts(samples)
        return known[samples]

    def rises(layer: str, low: int, high: int) -> int:
        """Smallest length that gives one frame more than ``low`` does."""
        wanted = count(low)[layer] + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if count(middle)[layer] >= wanted else (middle, high)
        return high

    clocks = {}
    for layer in count(first):
        far = 2 * first
        while count(far)[layer] < count(first)[layer] + 2 and far < LONGEST * sample_rate:
            far *= 2
        near_count, far_count = count(first)[layer], count(far)[layer]
        if near_count == far_count == 1:
            clocks[layer] = Clock()
            continue
        if far_count < near_count + 2:
            raise ValueError(
                f"layer {layer} makes {near_count} frames of {first / sample_rate:g} s and "
                f"{far_count} of {far / sample_rate:g} s: give window_seconds if clips are "
                "padded to a fixed length inside"
            )
        reach = 2 * math.ceil((far - first) / (far_count - near_count)) + 1
        one, two = rises(layer, first, first + reach), rises(layer, far, far + reach)
        if count(one)[layer] != near_count + 1:
            raise ValueError(
                f"frames of layer {layer} do not come one by one as a clip gets longer: clips are "
                "padded inside to multiples of many frames; choose another layer"
            )
        hop = Fraction(two - one, far_count - near_count)
        start = one - (near_count + 1) * hop
        clocks[layer] = Clock(hop, start, (start + hop) / 2)
    return clocks


def centred(clocks: Mapping[str, Clock], centre: float | None) -> dict[str, Clock]:
    """Clocks whose fastest layers have frame 0 at ``centre``, in samples, where that is known.

    Frames of slower layers are means of those of the fastest.
    """
    hops = [clock.hop for clock in clocks.values() if clock.hop]
    if centre is None or not hops:
        return dict(clocks)
    moved = {}
    for layer, clock in clocks.items():
        first = Fraction(centre) + ((clock.hop or min(hops)) - min(hops)) / 2
        start = first - clock.hop + 1 if clock.hop and clock.most else clock.start
        moved[layer] = replace(clock, centre=first, start=start)
    return moved
