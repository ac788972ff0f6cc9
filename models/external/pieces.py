"""Cutting long clips into pieces whose frames join without a gap, and which go together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from models.encoder import Frames
from models.external.clock import Clock


@dataclass(frozen=True)
class Piece:
    """A part of a clip that is encoded at once, and the frames of each layer that it gives.

    ``skip`` frames at its beginning are given by the piece before it.
    """

    clip: int
    audio: Tensor
    frames: Mapping[str, int]
    skip: Mapping[str, int]


def pieces(
    clip: int,
    audio: Tensor,
    clocks: Mapping[str, Clock],
    shortest: int,
    longest: int | None,
    overlap: int = 0,
) -> Iterator[Piece]:
    """A clip as one piece, or where it is longer than ``longest`` samples as several.

    Pieces start a stride apart, a multiple of every hop, so that frames are as far apart across
    pieces as within one. Pieces share ``overlap`` samples or a little more; a frame in them is
    given by the piece that has more audio on the nearer side of it, that is, up to the middle of
    the overlap by the earlier. Without overlap each gives the frames of one stride. What is
    shorter than ``shortest`` samples is padded with silence.
    """
    if longest is None or len(audio) <= longest:
        frames = {layer: max(1, clock.at_once(len(audio))) for layer, clock in clocks.items()}
        yield Piece(clip, _pad(audio, shortest), frames, dict.fromkeys(clocks, 0))
        return
    step = stride(clocks, longest - overlap)
    reach, given = longest if overlap else step, dict.fromkeys(clocks, 0)
    for first in range(0, len(audio), step):
        last = first + reach >= len(audio)
        frames, skip = {}, {}
        for layer, clock in clocks.items():
            frames[layer], skip[layer] = 1, 0
            if clock.hop:
                before, every = int(first / clock.hop), clock.frames(len(audio))
                until = every if last else before + _until(clock, step, longest, overlap)
                skip[layer] = given[layer] - before
                frames[layer] = min(until, every) - given[layer]
                given[layer] += frames[layer]
        part = audio[first : first + longest]
        if len(part) >= shortest or any(frames[k] > 0 for k, clock in clocks.items() if clock.hop):
            yield Piece(clip, _pad(part, shortest), frames, skip)
        if last:
            return


def _until(clock: Clock, step: int, longest: int, overlap: int) -> int:
    """Frames from the beginning of a piece to the middle of what it shares with the next."""
    assert clock.hop
    if not overlap:
        return int(step / clock.hop)
    middle = Fraction(step + longest, 2)
    before = math.ceil((middle - clock.centre) / clock.hop)  # whose centre is before the middle
    return min(max(before, int(step / clock.hop)), clock.at_once(longest))


def join_pieces(
    clips: list[list[Tensor]], clock: Clock, sample_rate: int, rate: float | None
) -> Frames:
    """Frames of a layer of every clip, from those (frames, dim) of its pieces.

    ``rate`` in Hz is given out instead of what was counted. Without a hop pieces of a long clip
    stand for it together.
    """
    whole = [torch.cat(pieces) for pieces in clips]
    if clock.hop is None:
        whole = [frames.mean(0, keepdim=True) for frames in whole]
    count = torch.tensor([len(frames) for frames in whole], device=whole[0].device)
    values = nn.utils.rnn.pad_sequence(whole, batch_first=True)
    if clock.hop is None:
        return Frames(values, count, rate=1.0, offset=0.5)
    offset = max(0.0, float(clock.centre / sample_rate))
    return Frames(values, count, rate or float(sample_rate / clock.hop), offset)


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


def _pad(audio: Tensor, shortest: int) -> Tensor:
    return nn.functional.pad(audio, (0, max(0, shortest - len(audio))))
