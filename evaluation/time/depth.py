"""Where along the layers metrics are highest, and how high people's own responses would score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product as pairs

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.difference import two_sided_p
from alignment.inference import percentile_interval
from alignment.kernels import unit
from alignment.peaks import peak_depth, peak_draws
from alignment.series.metrics import Metric
from evaluation.metrics import Family, facts
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.time.pieces import Series
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates

DRAWS = 2000
DIFFERENCE = Quantity("peak_depth_difference", kind="peak")


def depth_rows(
    rows: TimeRows, tested: Mapping[Quantity, AgainstSurrogates], layers: Sequence[str]
) -> Iterator[Score]:
    """Relative depth of the best layer, 0 the first and 1 the last, by metric and between families.

    ``metric=peak_depth_NAME``, layer ``selected``: of the mean over subjects and sentences, each
    less the level of its surrogates; nothing where all layers are as high. ``peak_depth_lag_NAME``:
    with the delay at which the metric is highest.
    ``metric=peak_depth_difference``, ``target=A-B``: A a metric of rank geometry, B one of
    dependence. Intervals and p: bootstrap over subjects and over sentences.
    """
    if len(layers) < 2:
        return
    curves = {name: _curves(rows, found) for name, found in tested.items()}
    curves = {name: curve for name, curve in curves.items() if not peak_depth(curve).flat}
    draws = {name: peak_draws(curve, DRAWS) for name, curve in curves.items()}

    def row(metric: Quantity, value: float, found: Tensor, **fields: object) -> Score:
        low, high = percentile_interval(found)
        return rows.one(metric, SELECTED, value, ci_low=low, ci_high=high, **fields)

    depth = {name: peak_depth(curve).depth for name, curve in curves.items()}
    for what, found in draws.items():
        yield row(what.as_kind("peak"), depth[what], found)
    for a, b in pairs(_of(draws, "rank geometry"), _of(draws, "dependence")):
        between = draws[a] - draws[b]
        fields = {"target": f"{a.name}-{b.name}", "p": float(two_sided_p(between))}
        yield row(DIFFERENCE, depth[a] - depth[b], between, **fields)


def _of(quantities: Iterable[Quantity], family: Family) -> list[Quantity]:
    return [one for one in quantities if facts(one.of).family == family]


def _curves(rows: TimeRows, found: AgainstSurrogates) -> Float[Tensor, "subjects sentences layers"]:
    """Above the surrogates, pieces of a sentence taken together."""
    excess = found.excess[..., 0]
    _, sentence, size = rows.sentence.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(size), *excess.shape[1:], dtype=excess.dtype)
    sums.index_add_(0, sentence, excess)
    return (sums / size[:, None, None]).permute(2, 0, 1)


def ceiling(metric: Metric, series: Series) -> tuple[float, float] | None:
    """Range in which a model would score that had all that people share (Nili et al. 2014).

    Similarity of each person's response with the mean signature of the others (lower bound) and
    with that of all (upper bound), averaged over people and pieces. None for one person, and for
    metrics whose signatures are no kernels or dissimilarities of norm 1 and have no mean.
    """
    people = len(series.y[0])
    if people < 2 or metric.kind != "matrix" or not (metric.symmetric and metric.scaled):
        return None
    low, high = [], []
    ((_, start, length),) = series.spans([0])
    for response in series.y:
        own = metric.signature(response[:, start : start + length])
        total = own.sum(0)
        others = unit(total - own, total.expand_as(own))
        low.append((own * others).sum((-2, -1)).mean())
        high.append((own * unit(total, total)[None]).sum((-2, -1)).mean())
    found = (metric.finish(torch.stack(part).mean(), length) for part in (low, high))
    lower, upper = (float(value) for value in found)
    return lower, upper
