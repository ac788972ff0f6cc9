"""Cutting long clips into pieces whose frames join without a gap, and which go together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor, nn

from models.external.clock import Clock


@dataclass(frozen=True)
class Piece:
    """A part of a clip that is encoded at once, and the frames of each layer that it gives."""

    clip: int
    audio: Tensor
    frames: Mapping[str, int]


def pieces(
    clip: int, audio: Tensor, clocks: Mapping[str, Clock], shortest: int, longest: int | None
) -> Iterator[Piece]:
    """A clip as one piece, or where it is longer than ``longest`` samples as several.

    Pieces start a stride apart, and each but the last gives the frames of one stride, so that
    frames are as far apart across pieces as within one. What is shorter than ``shortest`` samples
    is padded with silence.
    """
    if longest is None or len(audio) <= longest:
        frames = {layer: max(1, clock.at_once(len(audio))) for layer, clock in clocks.items()}
        yield Piece(clip, _padded(audio, shortest), frames)
        return
    step = stride(clocks, longest)
    given = dict.fromkeys(clocks, 0)
    for first in range(0, len(audio), step):
        last = first + step >= len(audio)
        frames = {}
        for layer, clock in clocks.items():
            left = clock.frames(len(audio)) - given[layer] if clock.hop else 1
            own = int(step / clock.hop) if clock.hop else 1
            frames[layer] = left if last else min(own, left)
            given[layer] += frames[layer]
        part = audio[first : first + longest]
        if len(part) >= shortest or any(frames[k] > 0 for k, clock in clocks.items() if clock.hop):
            yield Piece(clip, _padded(part, shortest), frames)


def stride(clocks: Mapping[str, Clock], longest: int) -> int:
    """Samples between pieces: a multiple of every hop, and no more than one piece gives frames of.

    Raises
    ------
    ValueError
        If layers have hops without a common multiple within a piece.
    """
    hops = {layer: clock.hop for layer, clock in clocks.items() if clock.hop}
    if not hops:
        return longest
    common = math.lcm(*(hop.numerator for hop in hops.values()))
    covered: Fraction = min(clocks[k].at_once(longest) * hop for k, hop in hops.items())
    found = min(longest, math.floor(covered)) // common * common
    if not found:
        raise ValueError(
            f"a clip has more than the {longest} samples that are encoded at once, within which "
            f"hops of {sorted({float(hop) for hop in hops.values()})} samples have no common "
            "multiple: choose layers of one rate"
        )
    return found


def groups(sizes: list[int], most: float, together: str, window: int | None) -> Iterator[list[int]]:
    """Which pieces are encoded at once: no more than ``most`` samples, padding included.

    ``together`` are all (``padded``), those of one length (``equal``) or none (``single``).
    """
    group: list[int] = []
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):
        full = (len(group) + 1) * (window or sizes[i]) > most
        other = bool(group) and sizes[group[0]] != sizes[i] and together != "padded"
        if group and (full or other or together == "single"):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _padded(audio: Tensor, shortest: int) -> Tensor:
    return nn.functional.pad(audio, (0, max(0, shortest - len(audio))))
