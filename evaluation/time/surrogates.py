"""Statistics of sentences beside those of their surrogates, for all layers and lags."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.nulls import draw_shifts
from alignment.series.metrics import Metric, flat, product, shift_products
from evaluation.time.pieces import Draws, Series, Span
from evaluation.time.statistics import AgainstSurrogates, Brains, Collector, Memory, stack_responses

HELD = 50_000_000
"""Numbers of signatures held at once."""


def mismatch_surrogates(
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
                sounds = _sounds(metric, series, first, length)
            if metric.linear:
                brains = Brains(metric, series, (start, length), at_once, memory)
                collect.vectors(metric, torch.stack(flats, 1), brains, layers, k)
                continue
            signatures = [metric.signature(one) for one in stack_responses(series, start, length)]
            for j, one in zip(layers.tolist(), x, strict=True):
                pairs = torch.stack([product(metric, one, y, length, sounds) for y in signatures])
                collect.pairs(pairs if by_subject else pairs.mean(0, keepdim=True), j, k)
    return collect.result()


def _sounds(metric: Metric, series: Series, first: int, length: int) -> Tensor | None:
    """Signatures of the sounds of pieces, which stay where responses are exchanged."""
    if not metric.acoustics:
        return None
    return metric.signature(torch.stack([x[first : first + length] for x in series.acoustics]))


def _cut(series: Series, layer: int, first: int, length: int) -> Float[Tensor, "n times dim"]:
    return torch.stack([piece[layer][first : first + length] for piece in series.x])


def circular_surrogates(
    metric: Metric, series: Series, draws: Draws, lags: Sequence[int]
) -> AgainstSurrogates:
    """Surrogates shift every sentence's response in a circle, by its own random amount.

    Valid for stationary series that are much longer than their memory: the seam, and trends over
    a sentence, are in the surrogates alone (docs/eeg.md has the false positives). All shifts of
    a sentence come from one product (alignment/series/metrics.py).
    """
    collect = Collector(series, draws, len(lags), len(series.x[0]))
    for i, layers in enumerate(series.x):
        length = len(layers[0])
        generator = torch.Generator().manual_seed(draws.seed + i)
        picks = draw_shifts(length, draws.count, draws.least, generator, replace=True)
        signatures = _stacks(metric, layers)
        sounds = metric.signature(series.acoustics[i][None])[0] if metric.acoustics else None
        for k, lag in enumerate(lags):
            first = series.zero + lag
            response = metric.signature(series.y[i][:, first : first + length])
            shifts = torch.cat(
                [shift_products(metric, some, response, sounds) for some in signatures]
            )
            collect.observed[i, :, :, k] = shifts[..., 0]
            allowed = shifts[..., draws.least : length - draws.least + 1]
            collect.responses[i] = allowed.shape[-1] + 1
            collect.level[i, :, :, k] = (allowed.sum(-1) + shifts[..., 0]) / collect.responses[i]
            collect.null[collect.folds[i], :, :, k] += shifts.mean(1)[:, picks].T
    return collect.result()


def _stacks(metric: Metric, layers: Sequence[Tensor]) -> list[Tensor]:
    """Signatures of layers, stacked; layers may differ in width.

    Missing columns of a basis are 0. A function of one's own sees no column that is not there.
    """
    if len({x.shape for x in layers}) == 1:
        return [metric.signature(torch.stack([*layers]))]
    found = [metric.signature(x[None])[0] for x in layers]
    if metric.kind == "function":
        return [x[None] for x in found]
    if metric.kind == "basis":
        wide = max(x.shape[1] for x in found)
        found = [torch.nn.functional.pad(x, (0, wide - x.shape[1])) for x in found]
    return [torch.stack(found)]
