"""What frames become: vectors of every sound, pooled in every way that a benchmark asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from models.encoder import Frames

Pooling = Literal["mean", "mean_std", "quarters", "frames", "coarse_frames"]
FRAMES: tuple[Pooling, ...] = ("frames", "coarse_frames")
"""Poolings that keep frames: as they are, or means of neighbours, about twenty a second."""
COARSE = 0.05


@dataclass(frozen=True)
class Features:
    """Features of one layer for all stimuli of a set, in stimulus order, on the CPU.

    Parameters
    ----------
    values : tensor of shape (stimuli, dim), or (stimuli, frames, dim) where frames are kept
    lengths : tensor of shape (stimuli,), optional
        Valid frames, where frames are kept.
    rate, offset : float, optional
        Frame rate (Hz) and centre of frame 0 (s), where frames are kept.
    """

    values: Tensor
    lengths: Tensor | None = None
    rate: float | None = None
    offset: float | None = None


Allocate = Callable[[str, str, tuple[int, int]], Tensor]
"""Makes the array of a pooling and a layer, float32 of shape (stimuli, dim)."""


def in_memory(pooling: str, layer: str, shape: tuple[int, int]) -> Float[Tensor, "n d"]:
    """An array in memory for the pooled features of a layer."""
    return torch.zeros(shape)


def _mean(values: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"]) -> Float[Tensor, "b d"]:
    weight = valid[..., None].to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)


def _mean_std(values: Tensor, valid: Tensor) -> Tensor:
    mean = _mean(values, valid)
    variance = _mean((values - mean[:, None]).square(), valid)
    return torch.cat([mean, variance.sqrt()], -1)


def _quarters(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over each quarter of the clip, in order: what a mean loses of time."""
    count = valid.sum(1, keepdim=True)
    position = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    means = []
    for quarter in range(4):
        first = (count * quarter) // 4
        last = torch.maximum((count * (quarter + 1)) // 4, first + 1)
        inside = (position >= first) & (position < last) & valid
        means.append(_mean(values, inside))
    return torch.cat(means, -1)


POOLED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "mean_std": _mean_std,
    "quarters": _quarters,
}


def pool(frames: Frames, pooling: Pooling) -> Features:
    """Features of a batch, on the CPU."""
    if pooling not in POOLED and pooling not in FRAMES:
        raise ValueError(f"pooling {pooling!r}: expected one of {[*POOLED, *FRAMES]}")
    values = frames.values.float()
    position = torch.arange(values.shape[1], device=values.device)
    valid = position < frames.lengths[:, None].to(values.device)
    # What stands behind a clip's end may be anything, also not a number.
    values = values.masked_fill(~valid[..., None], 0.0)
    if pooling == "frames":
        return Features(values.cpu(), frames.lengths.cpu(), frames.rate, frames.offset)
    if pooling == "coarse_frames":
        return _coarse(values, valid, frames.rate, frames.offset)
    return Features(POOLED[pooling](values, valid).cpu())


def _coarse(values: Tensor, valid: Tensor, rate: float, offset: float) -> Features:
    """Means of as many neighbouring frames as make 50 ms; the last may be of fewer."""
    count = max(1, round(COARSE * rate))
    spare = -values.shape[1] % count
    parts = torch.nn.functional.pad(values, (0, 0, 0, spare)).unflatten(1, (-1, count))
    number = torch.nn.functional.pad(valid, (0, spare)).unflatten(1, (-1, count)).sum(2)
    means = parts.sum(2) / number.clamp_min(1)[..., None]
    centre = offset + (count - 1) / 2 / rate
    return Features(means.cpu(), (number > 0).sum(1).cpu(), rate / count, centre)


Batches = list[tuple[list[int], dict[str, Features]]]
Part = tuple[list[int], dict[tuple[Pooling, str], Tensor], dict[Pooling, Batches]]
"""Stimuli of one rank, their vectors by pooling and layer, and the frames of its batches."""


class Collected:
    """Features of every layer, written batch by batch to where the stimulus stands.

    Parameters
    ----------
    names : sequence of str
        Of the stimuli.
    """

    def __init__(
        self,
        names: Sequence[str],
        layers: Sequence[str],
        poolings: Sequence[Pooling],
        allocate: Allocate = in_memory,
    ) -> None:
        self.names, self.layers, self.poolings = names, layers, poolings
        self._allocate = allocate
        self._vectors: dict[tuple[Pooling, str], Tensor] = {}
        self._frames: dict[Pooling, Batches] = {name: [] for name in poolings if name in FRAMES}
        self._mine: list[int] = []

    def add(self, indices: list[int], frames: dict[str, Frames]) -> None:
        """Pool the frames of one batch of stimuli, and keep what comes out.

        Nothing is kept before all is pooled: a batch that is too much for the memory comes again.
        """
        ways = {
            pooling: {layer: pool(frames[layer], pooling) for layer in self.layers}
            for pooling in self.poolings
        }
        for pooling, pooled in ways.items():
            for layer, feature in pooled.items():
                self._check(layer, indices, feature.values)
                if pooling not in FRAMES:
                    self._write(pooling, layer, indices, feature.values)
            if pooling in FRAMES:
                self._frames[pooling].append((indices, pooled))
        self._mine += indices

    def part(self) -> Part:
        """What this rank has collected, for the others."""
        rows = {key: values[self._mine] for key, values in self._vectors.items()}
        return self._mine, rows, self._frames

    def take(self, part: Part) -> None:
        """Take in what another rank has collected; one's own is left as it is."""
        indices, rows, frames = part
        if indices == self._mine:
            return
        for (pooling, layer), values in rows.items():
            self._write(pooling, layer, indices, values)
        for pooling, batches in frames.items():
            self._frames[pooling] += batches

    def features(self, pooling: Pooling) -> dict[str, Features]:
        """Every layer, in stimulus order."""
        if pooling not in FRAMES:
            return {layer: Features(self._vectors[pooling, layer]) for layer in self.layers}
        return {layer: self._join(self._frames[pooling], layer) for layer in self.layers}

    def _check(self, layer: str, indices: list[int], values: Tensor) -> None:
        finite = torch.isfinite(values).flatten(1).all(1)
        if not finite.all():
            name = self.names[indices[int((~finite).nonzero()[0])]]
            raise ValueError(f"layer {layer} has features that are not finite at stimulus {name}")

    def _write(self, pooling: Pooling, layer: str, indices: list[int], values: Tensor) -> None:
        if (pooling, layer) not in self._vectors:
            shape = (len(self.names), values.shape[1])
            self._vectors[pooling, layer] = self._allocate(pooling, layer, shape)
        self._vectors[pooling, layer][indices] = values

    def _join(self, batches: Batches, layer: str) -> Features:
        """Frames of one layer, zero behind each sound's end."""
        pieces = [(torch.tensor(indices), found[layer]) for indices, found in batches]
        first = pieces[0][1]
        longest = max(piece.values.shape[1] for _, piece in pieces)
        values = torch.zeros(len(self.names), longest, *first.values.shape[2:])
        lengths = torch.zeros(len(self.names), dtype=torch.long)
        for indices, piece in pieces:
            values[indices, : piece.values.shape[1]] = piece.values
            lengths[indices] = piece.lengths.long()  # type: ignore[union-attr]
        return Features(values, lengths, first.rate, first.offset)
