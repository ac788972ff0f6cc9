"""Taking in statistics of pieces with the responses to all pieces, as fast as a metric allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.signatures import Metric, flat
from evaluation.time.series import Draws, Series
from evaluation.time.tested import AgainstSurrogates

Memory = dict[tuple[object, ...], Tensor]
"""Mean signatures of responses by span and pieces, which are the same for every encoder."""
REMEMBERED = 80_000_000
"""Numbers that a memory holds at most."""


@dataclass(frozen=True)
class Brains:
    """Signatures of the responses in one span, as vectors."""

    metric: Metric
    series: Series
    span: tuple[int, int]
    at_once: int
    memory: Memory | None

    def people(self) -> Iterator[Float[Tensor, "n some m"]]:
        """Of some subjects after the others."""
        for some in heard(self.series, *self.span).split(self.at_once):
            signatures = [self.metric.signature(one) for one in some]
            yield torch.stack([flat(self.metric, one) for one in signatures], 1)

    def mean(self) -> Float[Tensor, "n m"]:
        """Over subjects."""
        pieces = zip(self.series.sentence.tolist(), self.series.position.tolist(), strict=True)
        memory, key = {} if self.memory is None else self.memory, (self.span, *pieces)
        if key in memory:
            return memory[key]
        total = sum(some.sum(1) for some in self.people())
        assert isinstance(total, Tensor)
        found = total / len(self.series.y[0])
        if sum(known.numel() for known in memory.values()) + found.numel() <= REMEMBERED:
            memory[key] = found
        return found


def heard(series: Series, start: int, length: int) -> Float[Tensor, "subjects n times dim"]:
    return torch.stack([y[:, start : start + length] for y in series.y], 1)


class Collector:
    """Room for what is observed and for the sums of what the surrogates give."""

    def __init__(
        self, series: Series, draws: Draws, lags: int, layers: int, by_subject: bool = True
    ) -> None:
        count, people = len(series.x), len(series.y[0]) if by_subject else 1
        self.by_subject = by_subject
        names, self.folds = series.folds.unique(return_inverse=True)
        self.observed = torch.empty(count, layers, people, lags, dtype=torch.float64)
        self.level = torch.empty_like(self.observed)
        self.null = torch.zeros(len(names), draws.count, layers, lags, dtype=torch.float64)
        self.every, self.same = torch.arange(count), series.same()
        self.responses = self.same.sum(1).long()
        self.partner, self.alike = series.partners(draws), [*series.alike()]

    def pairs(self, pairs: Float[Tensor, "subjects n n"], layer: int, lag: int) -> None:
        """Take in the statistics of every piece's frames with the response to every piece."""
        self.some_pairs(self.every, pairs, layer, lag)

    def some_pairs(
        self, own: Tensor, pairs: Float[Tensor, "subjects own n"], layer: int, lag: int
    ) -> None:
        """As :meth:`pairs`, of some pieces' frames with the response to every piece."""
        row = torch.arange(len(own))
        moved = pairs.mean(0)[row, self.partner[:, own]]
        self.null[:, :, layer, lag].index_add_(0, self.folds[own], moved.T.double())
        self.observed[own, layer, :, lag] = pairs[:, row, own].T.double()
        self.level[own, layer, :, lag] = (pairs * self.same[own]).sum(-1).T / self.responses[
            own, None
        ]

    def vectors(
        self,
        metric: Metric,
        x: Float[Tensor, "n layers m"],
        brains: Brains,
        layers: Int[Tensor, " layers"],
        lag: int,
    ) -> None:
        """As :meth:`pairs` of every layer, for metrics that are linear in their signatures.

        Draws need the mean over subjects alone, and a level the mean over pieces: all pairs are
        multiplied once, not once a subject.
        """
        n, mean = brains.span[1], brains.mean()
        mine, first = slice(int(layers[0]), int(layers[-1]) + 1), 0
        for y in brains.people() if self.by_subject else [mean[:, None]]:
            those = slice(first, first := first + y.shape[1])
            self.observed[:, mine, those, lag] = metric.finish(x @ y.mT, n).double()
            for members in self.alike:
                level = metric.finish(x[members] @ y[members].mean(0).T, n)
                self.level[members, mine, those, lag] = level.double()
        for j, one in zip(layers.tolist(), x.unbind(1), strict=True):
            moved = metric.finish(one @ mean.T, n)[self.every, self.partner].double()
            self.null[:, :, j, lag].index_add_(0, self.folds, moved.T)

    def piece(
        self, i: int, members: Tensor, values: Float[Tensor, "layers subjects members"], lag: int
    ) -> None:
        """Take in the statistics of one piece with the responses to those of its position."""
        own = int((members == i).nonzero())
        place = torch.zeros(len(self.every), dtype=torch.long)
        place[members] = torch.arange(len(members))
        self.null[self.folds[i], :, :, lag] += values.mean(1)[:, place[self.partner[:, i]]].T
        self.observed[i, :, :, lag] = values[..., own]
        self.level[i, :, :, lag] = values.mean(-1)

    def result(self) -> AgainstSurrogates:
        if bool(self.observed.isnan().any()):
            where = self.observed.isnan().nonzero()[0].tolist()
            raise ValueError(
                f"sentence {where[0]}, layer {where[1]}, subject {where[2]}: the statistic is not "
                "a number: frames or responses are constant"
            )
        return AgainstSurrogates(self.observed, self.level, self.responses, self.null, self.folds)
