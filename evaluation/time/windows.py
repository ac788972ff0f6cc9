"""Windows of a sentence in which both sides move together: *when in the sentence*, no latency."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import torch

from alignment.series.metrics import Metric
from evaluation.quantities import Quantity
from evaluation.rows import Score
from evaluation.time.pieces import Draws, Series, Span
from evaluation.time.rows import People, TimeRows
from evaluation.time.statistics import Memory
from evaluation.time.surrogates import mismatch_surrogates

log = logging.getLogger(__name__)

Stretch = tuple[int, int]
"""First frame and number of frames."""
WIDTH, STEP = 0.25, 0.05
"""Of sliding windows (s)."""
NAMED = {
    "N100": (0.08, 0.15),
    "P200": (0.15, 0.25),
    "N200": (0.2, 0.3),
    "P300": (0.25, 0.5),
    "N400": (0.3, 0.5),
    "P600": (0.5, 0.8),
}
"""Seconds from the onset of the sentence, named as in studies of evoked responses."""
STILL = 1e-9
"""Distance up to which frames are the same but for rounding."""
FEWEST_FRAMES = 4
"""Of fewer there is no U-centred kernel."""


def sliding_windows(rate: float, until: float, frames: int) -> dict[str, Stretch]:
    """Windows of 250 ms by their middle (s), 50 ms apart where the rate allows.

    Parameters
    ----------
    rate : float
        Hz.
    until : float
        Latest middle of a window (s).
    frames : int
        Of a piece.
    """
    width, step = round(WIDTH * rate), max(1, round(STEP * rate))
    last = min(round(until * rate - width / 2), frames - width)
    starts = range(0, last + 1, step)
    return {f"{(first + width / 2) / rate:.2f}": (first, width) for first in starts}


def named_windows(rate: float, frames: int) -> dict[str, Stretch]:
    """The windows of :data:`NAMED` that a piece of so many frames has.

    Frames from the beginning of a window up to its end, which belongs to the next one.
    """
    found = {}
    for name, (low, high) in NAMED.items():
        first, end = (math.ceil(time * rate - 1e-6) for time in (low, high))
        if end <= frames:
            found[name] = first, end - first
    return found


def window_rows(
    rows: TimeRows,
    analysis: str,
    metrics: Mapping[str, Metric],
    series: Series,
    stretches: Mapping[str, Stretch],
    layers: Sequence[str],
    draws: Draws,
    memory: Mapping[str, Memory],
) -> Iterator[Score]:
    """Rows ``ANALYSIS_NAME`` of each window, and of the layer and window that other folds chose.

    p is corrected for all windows by their maximum: of windows of one length (``window``) by the
    largest value above the surrogates, of named ones (``erp``) in standard deviations of the
    surrogates, since the fewer frames a window has the more its values vary.

    A window is left out with a note where a layer stands still in it, in any piece, and where it
    has too few frames: fewer than four, or for metrics that need more rows than columns
    (``gaussian_mi``) no more than both sides have components.
    """
    people = len(rows.responses.subjects)
    moving = {window: one for window, one in stretches.items() if _moves(series, one)}
    if still := [window for window in stretches if window not in moving]:
        log.warning(
            "%s: %s has no rows of %s: a layer stands still there in some sentence",
            rows.name, analysis, ", ".join(still),
        )  # fmt: skip
    stretches = moving
    left_out: dict[tuple[str, int], list[str]] = {}
    for name, metric in metrics.items():
        fewest = _fewest(metric, series)
        kept = {window: one for window, one in stretches.items() if one[1] >= fewest}
        if short := [window for window in stretches if window not in kept]:
            left_out.setdefault((", ".join(short), fewest), []).append(name)
        if not kept:
            continue
        spans = [(first, series.zero + first, count) for first, count in kept.values()]
        found = mismatch_surrogates(metric, series, draws, spans, False, memory[name])
        each = by_subject(metric, series, draws, spans) if people > 1 else None
        scaled = len({count for _, count in stretches.values()}) > 1
        what = Quantity(name, analysis)
        yield from rows.timed(what, layers, found, [*kept], each, scaled)
    for (windows, fewest), names in left_out.items():
        log.info(
            "%s: %s of %s has no rows of %s: fewer than %d frames at %g Hz",
            rows.name, analysis, ", ".join(names), windows, fewest, rows.responses.rate,
        )  # fmt: skip


def _moves(series: Series, stretch: Stretch) -> bool:
    """Whether half of the pairs of frames or more differ in a window, in all layers and pieces.

    Layers are in components of variance 1. Gaussian kernels are as wide as the median distance.
    """
    first, count = stretch
    parts = (layer[first : first + count] for layers in series.x for layer in layers)
    return all(float(torch.pdist(part).median()) > STILL for part in parts)


def by_subject(metric: Metric, series: Series, draws: Draws, spans: Sequence[Span]) -> People:
    """Statistics of every subject at one span, where ``found`` holds the mean over subjects."""
    few = replace(draws, count=1)
    return cache(lambda k: mismatch_surrogates(metric, series, few, [spans[k]]))


def _fewest(metric: Metric, series: Series) -> int:
    if not metric.tall:
        return FEWEST_FRAMES
    return max(layer.shape[1] for layer in series.x[0]) + series.y[0].shape[-1] + 1
