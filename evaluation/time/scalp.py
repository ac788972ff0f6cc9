"""Alignment electrode by electrode."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.clusters import cluster_test
from alignment.inference import crossed_interval, mean_interval
from alignment.series.metrics import Metric, product
from datamodules.sentences import SentenceResponses
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.time.pieces import Draws, Series
from evaluation.time.rows import FEWEST_PEOPLE, TimeRows
from evaluation.time.statistics import AgainstSurrogates, Collector

CONTEXT = (-2, -1, 0, 1, 2)
"""Samples about a moment that describe it at one electrode."""


def map_rows(
    rows: TimeRows,
    name: str,
    metric: Metric,
    series: Series,
    chosen: AgainstSurrogates,
    lags: list[int],
    draws: Draws,
) -> Iterator[Score]:
    """Rows of every electrode (``target``), of the layer and lag that the other folds chose.

    A moment is described by five samples about it. ``metric=map_NAME``: the similarity, p by the
    largest electrode of each surrogate. ``metric=excess_map_NAME``: what lies above the
    surrogates; p of the cluster of neighbouring electrodes that it belongs to, over people
    (alignment/clusters.py), or that of ``map_NAME`` for fewer than six people.
    """
    yield from electrode_rows(
        rows, name, by_electrode(metric, series, rows.responses, chosen, lags, draws)
    )


def electrode_rows(rows: TimeRows, name: str, found: AgainstSurrogates) -> Iterator[Score]:
    """Rows ``map_NAME`` and ``excess_map_NAME`` of statistics whose last axis is electrodes."""
    values, excess = found.observed[:, 0], found.excess[:, 0]
    p = found.p_max()[0]
    people = len(rows.responses.subjects)
    clusters = p
    if people >= FEWEST_PEOPLE:
        clusters = cluster_test(excess.mean(0), neighbours(rows.responses), tail=1).p_map
    for what, table, probability in (
        (Quantity(name, "map"), values, p),
        (Quantity(name, "map", "excess"), excess, clusters),
    ):
        for c, channel in enumerate(rows.responses.channels):
            mean = table[:, :, c]
            low, high = (
                crossed_interval(mean, rows.sentence)
                if people > 1
                else mean_interval(mean[:, 0], groups=rows.sentence)
            )
            fields = {"target": channel, "p": float(probability[c])}
            yield rows.one(what, SELECTED, float(mean.mean()), ci_low=low, ci_high=high, **fields)


def by_electrode(
    metric: Metric,
    series: Series,
    responses: SentenceResponses,
    chosen: AgainstSurrogates,
    lags: list[int],
    draws: Draws,
) -> AgainstSurrogates:
    """Statistics of one layer, the chosen one, with every electrode (the last axis)."""
    channels, people = len(responses.channels), len(responses.subjects)
    collect = Collector(series, draws, channels, 1)
    ((_, _, length),) = series.spans([0])
    for (layer, lag), folds in _by_choice(chosen).items():
        own = torch.isin(collect.folds, torch.tensor(folds)).nonzero().flatten()
        x = metric.signature(torch.stack([series.x[i][layer][:length] for i in own.tolist()]))
        raw = _moments(series, responses, lags[lag], length)
        for c in range(channels):
            y = [metric.signature(raw[:, s, ..., c].double()) for s in range(people)]
            pairs = torch.stack([product(metric, x, one, length) for one in y])
            collect.some_pairs(own, pairs, 0, c)
    return collect.result()


def _by_choice(chosen: AgainstSurrogates) -> dict[tuple[int, int], list[int]]:
    """Folds by the layer and lag that are taken for them."""
    found: dict[tuple[int, int], list[int]] = {}
    for fold, choice in enumerate(chosen.choices()):
        found.setdefault(choice, []).append(fold)
    return found


def _moments(
    series: Series, responses: SentenceResponses, lag: int, length: int
) -> Float[Tensor, "pieces subjects frames context channels"]:
    """Samples about each frame, ``lag`` later; those beyond the recording repeat its end."""
    found = []
    for i, first in zip(series.sentence.tolist(), series.position.tolist(), strict=True):
        values = responses.values[i]
        start = series.zero + first + lag
        place = torch.arange(start, start + length)[:, None] + torch.tensor(CONTEXT)
        found.append(values[:, place.clamp(0, values.shape[1] - 1)])
    return torch.stack(found)


def neighbours(responses: SentenceResponses) -> Tensor:
    """Which electrodes lie side by side: (channels, channels), by MNE's triangles."""
    import mne  # its import takes a second

    assert responses.positions is not None
    names = [*responses.channels]
    info = mne.create_info(names, responses.rate, "eeg")
    places = dict(zip(names, responses.positions.double().numpy(), strict=True))
    info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    with mne.utils.use_log_level("ERROR"):
        adjacency, _ = mne.channels.find_ch_adjacency(info, "eeg")
    return torch.from_numpy(adjacency.toarray()).bool()
