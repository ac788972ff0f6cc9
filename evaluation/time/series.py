"""Pieces of sentences: reduced frames beside responses, and who takes whose response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """How many surrogates, the least circular shift (frames), and the seed."""

    count: int
    least: int
    seed: int


Span = tuple[int, int, int]
"""First frame, first sample of the response, and number of both."""


@dataclass(frozen=True)
class Series:
    """Reduced frames and responses of the sentences, or pieces of them, that are examined.

    Attributes
    ----------
    x : list of lists of tensors of shape (frames, dim)
        By piece and layer.
    y : list of tensors of shape (subjects, times, dim)
        By piece; time ``zero`` goes with the first frame.
    zero : int
    folds : tensor of shape (pieces,)
    sentence : tensor of shape (pieces,)
        Which stimulus it is cut from.
    position : tensor of shape (pieces,)
        Its first frame in the sentence.
    """

    x: list[list[Tensor]]
    y: list[Tensor]
    zero: int
    folds: Int[Tensor, " pieces"]
    sentence: Int[Tensor, " pieces"]
    position: Int[Tensor, " pieces"]

    def spans(self, lags: Sequence[int]) -> list[Span]:
        """All frames of the shortest piece, with the response each lag later."""
        shortest = min(len(layers[0]) for layers in self.x)
        return [(0, self.zero + lag, shortest) for lag in lags]

    def windows(self, width: int, starts: Sequence[int]) -> list[Span]:
        """Short windows of both sides at the same time."""
        return [(first, self.zero + first, width) for first in starts]

    def keep(self, wanted: Bool[Tensor, " pieces"]) -> Series:
        """Some of the pieces."""
        chosen = wanted.nonzero().flatten()
        return replace(
            self,
            x=[self.x[i] for i in chosen.tolist()],
            y=[self.y[i] for i in chosen.tolist()],
            folds=self.folds[chosen],
            sentence=self.sentence[chosen],
            position=self.position[chosen],
        )

    def alike(self) -> Iterator[Int[Tensor, " members"]]:
        """Pieces of the same position, which may take each other's responses."""
        for position in self.position.unique():
            yield (self.position == position).nonzero().flatten()

    def same(self) -> Float[Tensor, "pieces pieces"]:
        """1 where two pieces are of the same position."""
        return (self.position[:, None] == self.position).double()

    def partners(self, draws: Draws, turn: int = 1) -> Int[Tensor, "draws pieces"]:
        """Whose response each piece gets: of the same position, and never its own.

        Every response is given once in a draw: to the ``turn``-th before it in a random order.
        """
        generator = torch.Generator().manual_seed(draws.seed)
        partner = torch.empty(draws.count, len(self.position), dtype=torch.long)
        for members in self.alike():
            order = torch.rand(draws.count, len(members), generator=generator).argsort(1)
            given = torch.empty_like(order).scatter_(1, order, order.roll(-turn, 1))
            partner[:, members] = members[given]
        return partner
