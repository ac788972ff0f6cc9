"""Figures of curves over training: trajectories with bands, times to half, leads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reporting.drawing.pieces import (
    Looks,
    dots,
    finish,
    heat_map,
    legend,
    log_axis,
    panels,
    place,
    translucent,
)
from reporting.report.emergence.axis import Axis, owners, shared_steps
from reporting.report.emergence.curves import REGION, SCORE, TARGET, TASK, Curve
from reporting.report.emergence.leads import Lead
from reporting.report.emergence.rises import Rise
from reporting.statistics.estimates import Estimate, number_text
from reporting.trajectory.panels import GREY, step_text

MOST_PANELS, MOST_LINES, MOST_NAMES = 12, 30, 8
BEYOND = 10
"""How many times the highest (lowest) time to half the axis of times goes on for intervals."""
KINDS = (SCORE, TASK, REGION, TARGET)


def trajectories(
    found: Sequence[Curve],
    looks: Looks,
    families: Mapping[str, str],
    hours: bool = False,
) -> tuple[go.Figure, int]:
    """A panel for every score and task: the mean over runs of an encoder, and their range.

    Parameters
    ----------
    hours : bool
        Over hours of audio instead of steps, of runs whose hours are known.

    Returns
    -------
    figure : Figure
    left : int
        Scores that were not drawn for want of room.
    """
    shown = [curve for curve in found if curve.kind in (SCORE, TASK)]
    if hours:
        shown = [curve for curve in shown if not math.isnan(curve.hours_per_step)]
    labels = list(dict.fromkeys(curve.label for curve in shown))
    left = max(0, len(labels) - MOST_PANELS)
    labels = labels[:MOST_PANELS]
    figure = panels(labels)
    axis = Axis.of(shown, hours)
    encoders = list(dict.fromkeys(curve.encoder for curve in shown))
    for number, label in enumerate(labels):
        where = place(number, len(labels))
        own = [curve for curve in shown if curve.label == label]
        for encoder in encoders:
            runs = [curve for curve in own if curve.encoder == encoder]
            if runs:
                named = number == 0 and len(encoders) <= MOST_NAMES
                _draw_runs(figure, runs, axis, looks, families, where, named)
        axis.mark(figure, where)
    return figure, left


def _draw_runs(
    figure: go.Figure,
    runs: Sequence[Curve],
    axis: Axis,
    looks: Looks,
    families: Mapping[str, str],
    where: Mapping[str, int],
    named: bool,
) -> None:
    """The mean over runs at the steps they share, in their range; else every run alone."""
    first = runs[0]
    steps = shared_steps(runs)
    if len(steps) < 2:
        for curve in runs:
            _draw_runs(figure, [curve], axis, looks, families, where, named)
        return
    values = np.stack([curve.values[np.isin(curve.steps, steps)] for curve in runs])
    x = axis.places(axis.times_of(first)[np.isin(first.steps, steps)])
    meta = owners([curve.name for curve in runs], families)
    colour, symbol = looks[0].get(first.name, GREY), looks[1].get(first.name, "circle")
    if len(runs) > 1:
        outline = [*values.max(0), *values.min(0)[::-1]]
        figure.add_scatter(
            x=[*x, *x[::-1]], y=outline, fill="toself", fillcolor=translucent(colour),
            mode="none", hoverinfo="skip", meta=meta, **where,
        )  # fmt: skip
    note = f" ({len(runs)} runs)" if len(runs) > 1 else ""
    mean = values.mean(0)
    texts = [
        f"{first.encoder}{note}, step {step_text(int(s))}: {v:.3f}"
        for s, v in zip(steps, mean, strict=True)
    ]
    figure.add_scatter(
        x=x, y=mean.tolist(), mode="lines+markers", line={"color": colour, "width": 2.4},
        marker={"size": 7, "symbol": symbol}, hovertext=texts, hoverinfo="text", meta=meta,
        name=first.encoder if named else "", **where,
    )  # fmt: skip


def halves(
    table: Sequence[Rise], colours: Mapping[str, str], families: Mapping[str, str]
) -> tuple[go.Figure, int]:
    """Time to half of the rise of every score, region, target and task, a mark an encoder."""
    table = sorted(table, key=lambda row: KINDS.index(row.kind))
    labels = list(dict.fromkeys(row.label for row in table if row.half.value > 0))
    left = max(0, len(labels) - MOST_LINES)
    labels = labels[:MOST_LINES]
    figure = go.Figure()
    encoders = list(dict.fromkeys(row.encoder for row in table))
    spread = np.linspace(0.25, -0.25, len(encoders)) if len(encoders) > 1 else [0.0]
    for encoder, shift in zip(encoders, spread, strict=True):
        own = {row.label: row for row in table if row.encoder == encoder and row.half.value > 0}
        times = [own[label].half if label in own else Estimate(math.nan) for label in labels]
        if not any(time.value > 0 for time in times):
            continue
        first = next(row for row in table if row.encoder == encoder)
        name = encoder if len(encoders) <= MOST_NAMES else ""
        colour = colours.get(first.names[0], GREY)
        dots(figure, labels, times, colour, name=name, shift=float(shift))
        texts = [
            f"{encoder}, {label}: {number_text(time)} steps, n = {time.n}"
            for label, time in zip(labels, times, strict=True)
        ]
        figure.data[-1].update(meta=owners(first.names, families), hovertext=texts)
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels[::-1]}
    finish(figure, 150 + 28 * len(labels), "steps to half of the final rise")
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4], showline=False, ticks="", **ticks)
    values = [row.half.value for row in table if row.half.value > 0]
    ends = [end for row in table for end in (row.half.low, row.half.high) if end > 0]
    # The interval of two runs can span twenty powers of ten and would leave the marks no room.
    low, high = min(values, default=1) / BEYOND, max(values, default=1) * BEYOND
    log_axis(figure, [*values, *(min(max(end, low), high) for end in ends)])
    legend(figure)
    return figure, left


def lead_map(table: Sequence[Lead]) -> go.Figure:
    """Doublings of training by which alignment (rows) comes before tasks (columns)."""
    rows = list(dict.fromkeys(row.first for row in table))
    columns = list(dict.fromkeys(row.second for row in table))
    values = pd.DataFrame(math.nan, rows, columns)
    texts = pd.DataFrame("", rows, columns, dtype=object)
    for row in table:
        values.loc[row.first, row.second] = row.doublings.value
        texts.loc[row.first, row.second] = (
            f"{row.first} before {row.second}: {row.doublings} doublings, n = {row.doublings.n}"
        )
    known = values.abs().max().max()
    most = max(1.0, float(known)) if not math.isnan(known) else 1.0
    return heat_map(values.iloc[:40], "doublings", texts.to_numpy()[:40], -most, most)
