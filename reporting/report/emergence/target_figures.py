"""When each target of a benchmark emerges, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from reporting.drawing.colours import COLOURS
from reporting.drawing.pieces import (
    panels,
    place,
)
from reporting.gathering.wide import NON_PRIMARY, PRIMARY
from reporting.report.emergence.axis import DASHES, Axis, owners, shared_steps
from reporting.report.emergence.curves import OTHER_NAME, PRIMARY_NAME, TARGET, Curve


def components(
    found: Sequence[Curve], families: Mapping[str, str], most: int = 6
) -> tuple[go.Figure | None, int]:
    """A panel for every encoder and score, a line for every target; primary targets are solid.

    Returns
    -------
    figure : Figure or None
        None without targets.
    left : int
        Panels that were not drawn for want of room.
    """
    shown = [curve for curve in found if curve.kind == TARGET]
    keys = list(dict.fromkeys((curve.encoder, curve.score) for curve in shown))
    if not keys:
        return None, 0
    kept = keys[:most]
    targets = list(dict.fromkeys(curve.part for curve in shown))
    colours = {target: COLOURS[k % len(COLOURS)] for k, target in enumerate(targets)}
    figure = panels([f"{encoder}: {score}" for encoder, score in kept])
    axis = Axis.of(shown)
    for number, key in enumerate(kept):
        where = place(number, len(kept))
        own = [curve for curve in shown if (curve.encoder, curve.score) == key]
        for target in dict.fromkeys(curve.part for curve in own):
            runs = [curve for curve in own if curve.part == target]
            _draw_target(figure, runs, axis, colours[target], families, where, number == 0)
        axis.mark(figure, where)
    return figure, len(keys) - len(kept)


def _draw_target(
    figure: go.Figure,
    runs: Sequence[Curve],
    axis: Axis,
    colour: str,
    families: Mapping[str, str],
    where: Mapping[str, int],
    named: bool,
) -> None:
    first = runs[0]
    steps = shared_steps(runs)
    if len(steps) < 2:
        runs, steps = runs[:1], first.steps
    mean = np.mean([curve.values[np.isin(curve.steps, steps)] for curve in runs], axis=0)
    note = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
    region = (
        PRIMARY_NAME
        if first.part in PRIMARY
        else (OTHER_NAME if first.part in NON_PRIMARY else "between")
    )
    figure.add_scatter(
        x=axis.places(steps),
        y=mean.tolist(),
        mode="lines+markers",
        line={"color": colour, "width": 2.4, "dash": DASHES[region == PRIMARY_NAME]},
        marker={"size": 5},
        hovertext=[f"{first.part} ({region}{note}): {value:.3f}" for value in mean],
        hoverinfo="text",
        name=first.part if named else "",
        meta=owners([curve.name for curve in runs], families),
        **where,
    )
