"""Statistics of sentences beside those of their surrogates, for all layers and lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.nulls import share_of_draws
from alignment.signatures import Metric, product, shift_products


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
        By sentence and layer.
    y : list of tensors of shape (subjects, times, dim)
        By sentence; time ``zero`` goes with the first frame.
    zero : int
    folds : tensor of shape (sentences,)
    position : tensor of shape (sentences,)
        Which piece of its sentence it is.
    """

    x: list[list[Tensor]]
    y: list[Tensor]
    zero: int
    folds: Int[Tensor, " sentences"]
    position: Int[Tensor, " sentences"]

    def spans(self, lags: Sequence[int]) -> list[Span]:
        """All frames of the shortest sentence, with the response each lag later."""
        shortest = min(len(layers[0]) for layers in self.x)
        return [(0, self.zero + lag, shortest) for lag in lags]

    def windows(self, width: int, starts: Sequence[int]) -> list[Span]:
        """Short windows of both sides at the same time."""
        return [(first, self.zero + first, width) for first in starts]


@dataclass(frozen=True)
class Tested:
    """Observed statistics, and means over sentences and subjects under the null hypothesis.

    Attributes
    ----------
    observed : tensor of shape (sentences, layers, subjects, lags)
    null : tensor of shape (folds, draws, layers, lags)
        Sums over the sentences of a fold of means over subjects.
    folds : tensor of shape (sentences,)
        Number of the fold of each sentence.
    """

    observed: Float[Tensor, "n layers subjects lags"]
    null: Float[Tensor, "folds draws layers lags"]
    folds: Int[Tensor, " n"]

    def p(self) -> Float[Tensor, "layers lags"]:
        """One-sided, uncorrected; the observed value counts as one of the draws."""
        return share_of_draws(self.null_means() >= self.observed.mean((0, 2)))

    def p_max(self) -> Float[Tensor, "layers lags"]:
        """Corrected for all lags: the share of draws whose largest lag is as large."""
        draws = self.null_means()
        # Lags differ in their null level: what lies above it is what is compared.
        level = draws.mean(0)
        largest = (draws - level).amax(-1, keepdim=True)
        return share_of_draws(largest >= self.observed.mean((0, 2)) - level)

    def selected(self) -> tuple[Float[Tensor, "n subjects"], float, float]:
        """Held-out statistics of the layer and lag that the other folds choose, p, and null level.

        Draws choose as the observed statistics do.
        """
        n, _, subjects, lags = self.observed.shape
        means = self.observed.mean(2).flatten(1)
        values = torch.empty(n, subjects, dtype=self.observed.dtype)
        flat, total = self.null.flatten(2), self.null_means().flatten(1) * n
        held = torch.zeros(flat.shape[1], dtype=flat.dtype)
        for fold in range(len(self.null)):
            own = self.folds == fold
            best = int(means[~own].mean(0).argmax())
            values[own] = self.observed[own][:, best // lags, :, best % lags]
            choice = (total - flat[fold]).argmax(1, keepdim=True)
            held += flat[fold].gather(1, choice)[:, 0]
        draws = held / n
        p = float(share_of_draws((draws >= values.mean())[:, None])[0])
        return values, p, float(draws.mean())

    def null_means(self) -> Float[Tensor, "draws layers lags"]:
        """Means over sentences and subjects."""
        return self.null.sum(0) / len(self.folds)


def mismatched(metric: Metric, series: Series, draws: Draws, spans: Sequence[Span]) -> Tested:
    """Surrogates pair every sentence with the response to another one.

    What each series is by itself stays, its trend over the sentence and the response to an onset
    too: pieces are paired with pieces of the same position. One product gives all pairs; the
    draws pick from them, the same for every layer, span, subject and metric.
    """
    collect = _Collector(series, draws.count, len(spans))
    partner = _partners(series.position, draws)
    every = torch.arange(len(series.x))
    largest = len(series.x) * max(length for _, _, length in spans) ** 2
    for layers in torch.arange(len(series.x[0])).split(max(1, HELD // largest)):
        ready: dict[int, Tensor] = {}
        for k, (first, start, length) in enumerate(spans):
            if k and (first, length) != spans[k - 1][::2]:
                ready.clear()
            responses = torch.stack([y[:, start : start + length] for y in series.y], 1)
            brains = [metric.signature(one) for one in responses]
            for j in layers.tolist():
                if j not in ready:
                    x = torch.stack([sentence[j][first : first + length] for sentence in series.x])
                    ready[j] = metric.signature(x)
                pairs = torch.stack([product(metric, ready[j], b, length) for b in brains])
                moved = pairs.mean(0)[every, partner]
                collect.null[:, :, j, k].index_add_(0, collect.folds, moved.T)
                collect.observed[:, j, :, k] = pairs[:, every, every].T
    return collect.result()


def _partners(position: Tensor, draws: Draws) -> Int[Tensor, "draws sentences"]:
    """Whose response each sentence gets: of the same position, and never its own."""
    generator = torch.Generator().manual_seed(draws.seed)
    partner = torch.empty(draws.count, len(position), dtype=torch.long)
    for group in position.unique():
        members = (position == group).nonzero().flatten()
        order = torch.rand(draws.count, len(members), generator=generator).argsort(1)
        # Everyone gets the response to the next one in a random order.
        given = torch.empty_like(order).scatter_(1, order, order.roll(-1, 1))
        partner[:, members] = members[given]
    return partner


def circular(metric: Metric, series: Series, draws: Draws, lags: Sequence[int]) -> Tested:
    """Surrogates shift every sentence's response in a circle, by its own random amount.

    Valid for stationary series that are much longer than their memory: the seam, and trends over
    a sentence, are in the surrogates alone (docs/eeg.md has the false positives). All shifts of
    a sentence come from one product (alignment/signatures.py).
    """
    collect = _Collector(series, draws.count, len(lags))
    for i, layers in enumerate(series.x):
        length = len(layers[0])
        generator = torch.Generator().manual_seed(draws.seed + i)
        last = length - draws.least + 1
        picks = torch.randint(draws.least, last, (draws.count,), generator=generator)
        signatures = _stack(metric, layers)
        for k, lag in enumerate(lags):
            first = series.zero + lag
            response = metric.signature(series.y[i][:, first : first + length])
            shifts = shift_products(metric, signatures, response)
            collect.observed[i, :, :, k] = shifts[..., 0]
            collect.null[collect.folds[i], :, :, k] += shifts.mean(1)[:, picks].T
    return collect.result()


class _Collector:
    """Room for what is observed and for the sums of what the surrogates give."""

    def __init__(self, series: Series, draws: int, lags: int) -> None:
        count, layers, people = len(series.x), len(series.x[0]), len(series.y[0])
        names, self.folds = series.folds.unique(return_inverse=True)
        self.observed = torch.empty(count, layers, people, lags, dtype=torch.float64)
        self.null = torch.zeros(len(names), draws, layers, lags, dtype=torch.float64)

    def result(self) -> Tested:
        if bool(self.observed.isnan().any()):
            where = self.observed.isnan().nonzero()[0].tolist()
            raise ValueError(
                f"sentence {where[0]}, layer {where[1]}, subject {where[2]}: the statistic is not "
                "a number: frames or responses are constant"
            )
        return Tested(self.observed, self.null, self.folds)


def _stack(metric: Metric, layers: Sequence[Tensor]) -> Tensor:
    """Signatures of layers, which may differ in width; missing columns of a basis are 0."""
    if len({x.shape for x in layers}) == 1:
        return metric.signature(torch.stack([*layers]))
    found = [metric.signature(x[None])[0] for x in layers]
    if metric.kind == "basis":
        wide = max(x.shape[1] for x in found)
        found = [torch.nn.functional.pad(x, (0, wide - x.shape[1])) for x in found]
    return torch.stack(found)
