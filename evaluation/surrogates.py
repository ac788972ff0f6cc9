"""Statistics of sentences beside those of their surrogates, for all layers and lags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from alignment.nulls import draw_shifts, share_of_draws
from alignment.signatures import Metric, flat, product, shift_products


@dataclass(frozen=True)
class Draws:
    """How many surrogates, the least circular shift (frames), and the seed."""

    count: int
    least: int
    seed: int


HELD = 50_000_000
"""Numbers of signatures held at once."""
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
        return share_of_draws(self.null_means() >= self.observed.mean((0, 2)))

    def p_max(self) -> Float[Tensor, "layers lags"]:
        """Corrected for all lags: the share of draws whose largest lag is as large."""
        draws = self.null_means()
        # Lags differ in their null level: what lies above it is what is compared.
        level = self.level.mean((0, 2))
        largest = (draws - level).amax(-1, keepdim=True)
        return share_of_draws(largest >= self.observed.mean((0, 2)) - level)

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
        return float(share_of_draws((held >= observed)[:, None])[0])

    def null_means(self) -> Float[Tensor, "draws layers lags"]:
        """Means over pieces and subjects."""
        return self.null.sum(0) / len(self.folds)


Memory = dict[tuple[object, ...], Tensor]
"""Mean signatures of responses by span and pieces, which are the same for every encoder."""
REMEMBERED = 80_000_000
"""Numbers that a memory holds at most."""


def mismatched(
    metric: Metric,
    series: Series,
    draws: Draws,
    spans: Sequence[Span],
    by_subject: bool = True,
    memory: Memory | None = None,
) -> AgainstSurrogates:
    """Surrogates pair every sentence with the response to another one.

    What each series is by itself stays, its trend over the sentence and the response to an onset
    too: pieces are paired with pieces of the same position. One product gives all pairs; the
    draws pick from them, the same for every layer, span, subject and metric.

    Parameters
    ----------
    by_subject : bool
        Otherwise only the mean over subjects is given, as if of one: much faster for metrics that
        are linear in their signatures.
    memory : dict, optional
        Of this metric: keeps mean signatures of responses for the next encoder.
    """
    collect = Collector(series, draws, len(spans), len(series.x[0]), by_subject)
    at_once = max(1, HELD // (len(series.x) * max(length for _, _, length in spans) ** 2))
    for layers in torch.arange(len(series.x[0])).split(at_once):
        x: list[Tensor] = []
        for k, (first, start, length) in enumerate(spans):
            if not x or (first, length) != spans[k - 1][::2]:
                x = [metric.signature(_cut(series, j, first, length)) for j in layers.tolist()]
                flats = [flat(metric, one) for one in x] if metric.linear else []
            if metric.linear:
                brains = _Brains(metric, series, (start, length), at_once, memory)
                collect.vectors(metric, torch.stack(flats, 1), brains, layers, k)
                continue
            signatures = [metric.signature(one) for one in _heard(series, start, length)]
            for j, one in zip(layers.tolist(), x, strict=True):
                pairs = torch.stack([product(metric, one, y, length) for y in signatures])
                collect.pairs(pairs if by_subject else pairs.mean(0, keepdim=True), j, k)
    return collect.result()


def _cut(series: Series, layer: int, first: int, length: int) -> Float[Tensor, "n times dim"]:
    return torch.stack([piece[layer][first : first + length] for piece in series.x])


def _heard(series: Series, start: int, length: int) -> Float[Tensor, "subjects n times dim"]:
    return torch.stack([y[:, start : start + length] for y in series.y], 1)


@dataclass(frozen=True)
class _Brains:
    """Signatures of the responses in one span, as vectors."""

    metric: Metric
    series: Series
    span: tuple[int, int]
    at_once: int
    memory: Memory | None

    def people(self) -> Iterator[Float[Tensor, "n some m"]]:
        """Of some subjects after the others."""
        for some in _heard(self.series, *self.span).split(self.at_once):
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


def circular(
    metric: Metric, series: Series, draws: Draws, lags: Sequence[int]
) -> AgainstSurrogates:
    """Surrogates shift every sentence's response in a circle, by its own random amount.

    Valid for stationary series that are much longer than their memory: the seam, and trends over
    a sentence, are in the surrogates alone (docs/eeg.md has the false positives). All shifts of
    a sentence come from one product (alignment/signatures.py).
    """
    collect = Collector(series, draws, len(lags), len(series.x[0]))
    for i, layers in enumerate(series.x):
        length = len(layers[0])
        generator = torch.Generator().manual_seed(draws.seed + i)
        picks = draw_shifts(length, draws.count, draws.least, generator, replace=True)
        signatures = _stack(metric, layers)
        for k, lag in enumerate(lags):
            first = series.zero + lag
            response = metric.signature(series.y[i][:, first : first + length])
            shifts = shift_products(metric, signatures, response)
            collect.observed[i, :, :, k] = shifts[..., 0]
            allowed = shifts[..., draws.least : length - draws.least + 1]
            collect.responses[i] = allowed.shape[-1] + 1
            collect.level[i, :, :, k] = (allowed.sum(-1) + shifts[..., 0]) / collect.responses[i]
            collect.null[collect.folds[i], :, :, k] += shifts.mean(1)[:, picks].T
    return collect.result()


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
        brains: _Brains,
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


def _stack(metric: Metric, layers: Sequence[Tensor]) -> Tensor:
    """Signatures of layers, which may differ in width; missing columns of a basis are 0."""
    if len({x.shape for x in layers}) == 1:
        return metric.signature(torch.stack([*layers]))
    found = [metric.signature(x[None])[0] for x in layers]
    if metric.kind == "basis":
        wide = max(x.shape[1] for x in found)
        found = [torch.nn.functional.pad(x, (0, wide - x.shape[1])) for x in found]
    return torch.stack(found)
