"""Observed and surrogate statistics of pieces: accumulated, tested, selected on held-out folds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.nulls import share_of_draws
from alignment.series.metrics import Metric, flat
from evaluation.time.pieces import Draws, Series

Memory = dict[tuple[object, ...], Tensor]
"""Mean signatures of responses by span and pieces, which are the same for every encoder."""
REMEMBERED = 80_000_000
"""Numbers that a memory holds at most."""


@dataclass(frozen=True)
class AgainstSurrogates:
    """Observed statistics, and means over sentences and subjects under the null hypothesis.

    Where only the mean over subjects was asked for, it stands for one subject.

    Attributes
    ----------
    observed : tensor of shape (pieces, layers, subjects, lags)
    level : tensor of shape (pieces, layers, subjects, lags)
        Mean of a piece over all its surrogates and what is observed: the same for every draw, so
        that what lies above it may be compared with draws.
    responses : tensor of shape (pieces,)
        How many responses, the own among them, ``level`` is the mean of.
    null : tensor of shape (folds, draws, layers, lags)
        Sums over the pieces of a fold of means over subjects.
    folds : tensor of shape (pieces,)
        Number of the fold of each piece.
    """

    observed: Float[Tensor, "n layers subjects lags"]
    level: Float[Tensor, "n layers subjects lags"]
    responses: Int[Tensor, " n"]
    null: Float[Tensor, "folds draws layers lags"]
    folds: Int[Tensor, " n"]

    @property
    def excess(self) -> Float[Tensor, "n layers subjects lags"]:
        """What lies above the mean of the surrogates, without what is observed."""
        count = self.responses.double()
        share = count / (count - 1)
        return (self.observed - self.level) * share[:, None, None, None]

    def p(self) -> Float[Tensor, "layers lags"]:
        """One-sided, uncorrected; the observed value counts as one of the draws."""
        return share_of_draws(_reach(self.null_means(), self.observed.mean((0, 2))))

    def p_max(self) -> Float[Tensor, "layers lags"]:
        """Corrected for all lags: the share of draws whose largest lag is as large."""
        draws = self.null_means()
        # Lags differ in their null level: what lies above it is what is compared.
        level = self.level.mean((0, 2))
        largest = (draws - level).amax(-1, keepdim=True)
        return share_of_draws(_reach(largest, self.observed.mean((0, 2)) - level))

    def scaled(self) -> AgainstSurrogates:
        """In standard deviations of the draws, layer by layer and lag by lag.

        For lags that vary unequally, such as windows of unequal length: of raw values, the maximum
        over lags would be that of the noisiest one.
        """
        spread = self.null_means().std(0, correction=0).clamp_min(1e-12)
        observed, level = (part / spread[:, None] for part in (self.observed, self.level))
        return replace(self, observed=observed, level=level, null=self.null / spread)

    def at(self, lag: int) -> AgainstSurrogates:
        """At one lag alone."""
        observed, level, null = (
            part[..., lag : lag + 1] for part in (self.observed, self.level, self.null)
        )
        return replace(self, observed=observed, level=level, null=null)

    def highest(self) -> int:
        """The lag at which some layer lies highest above its surrogates."""
        return int(self.excess.mean((0, 2)).amax(0).argmax())

    def choices(self) -> list[tuple[int, int]]:
        """Layer and lag that lie highest above their surrogates on all folds but each."""
        lags, excess = self.level.shape[-1], (self.observed - self.level).mean(2).flatten(1)
        best = [int(excess[self.folds != fold].mean(0).argmax()) for fold in range(len(self.null))]
        return [(place // lags, place % lags) for place in best]

    def held_out(self, values: Float[Tensor, "n layers subjects lags"]) -> Tensor:
        """Values of each piece at what the other folds choose: (pieces, subjects)."""
        found = torch.empty(values.shape[0], values.shape[2], dtype=values.dtype)
        for fold, (layer, lag) in enumerate(self.choices()):
            own = self.folds == fold
            found[own] = values[own][:, layer, :, lag]
        return found

    def selected_p(self) -> float:
        """One-sided p of what lies above the surrogates where the other folds choose.

        Draws choose as the observed statistics do.
        """
        level = torch.zeros(len(self.null), *self.level.shape[1:2], self.level.shape[3])
        level = level.to(self.level).index_add_(0, self.folds, self.level.mean(2))
        draws = (self.null - level[:, None]).flatten(2)
        total, held = draws.sum(0), torch.zeros(draws.shape[1], dtype=draws.dtype)
        for own in draws:
            held += own.gather(1, (total - own).argmax(1, keepdim=True))[:, 0]
        observed = self.held_out(self.observed - self.level).mean(1).sum()
        return float(share_of_draws(_reach(held, observed)[:, None])[0])

    def null_means(self) -> Float[Tensor, "draws layers lags"]:
        """Means over pieces and subjects."""
        return self.null.sum(0) / len(self.folds)


def _reach(draws: Tensor, observed: Tensor) -> Tensor:
    """Which draws are as large as what is observed; equal but for rounding is as large."""
    return draws >= observed - 1e-10


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
        for some in stack_responses(self.series, *self.span).split(self.at_once):
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


def stack_responses(
    series: Series, start: int, length: int
) -> Float[Tensor, "subjects n times dim"]:
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
