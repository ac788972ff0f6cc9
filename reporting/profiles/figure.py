"""Figures of one encoder's scores: profiles over layers, targets, time, participants, electrodes.

Everything is made from score rows alone (:func:`reporting.tables.score_table`).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from evaluation.metrics import facts
from evaluation.rows import SELECTED
from reporting.kinds import (
    CEILING,
    ERP,
    EXCESS,
    NULL,
    followed_scores,
    named_windows,
    same_quantity,
)
from reporting.profiles import axes
from reporting.profiles.depth_panels import (
    draw_depth,
    draw_histogram,
    draw_latency,
    draw_subjects,
    draw_targets,
    layers_of,
    people,
)
from reporting.profiles.event_panels import draw_depths, draw_excess, event_lines
from reporting.profiles.probe_panels import probe_lines
from reporting.profiles.scalp import draw_maps, map_line
from reporting.profiles.time_panels import above_band, draw_curve, draw_metrics, draw_named
from reporting.trajectory.panels import INK

Panel = partial[None]
HEIGHT, WIDTH = 3.4, 4.8
MOST_BARS = 64
MAPS_A_COLUMN = 2
MOST_A_LINE = 4


def write_profiles(scores: pd.DataFrame, folder: Path) -> list[Path]:
    """Write a PNG for every benchmark with what its rows can show.

    Parameters
    ----------
    scores : DataFrame
        Of one encoder at one step.
    folder : Path
        Made if there is anything to show.

    Returns
    -------
    list of Path
        ``BENCHMARK.png`` for each benchmark, ``/`` in its name replaced by ``_``.
    """
    written = []
    for name, rows in scores.groupby("benchmark", sort=False):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{str(name).replace('/', '_')}.png"
        benchmark_figure(rows).savefig(path, dpi=150)
        written.append(path)
    return written


def benchmark_figure(rows: pd.DataFrame) -> Figure:
    """All panels of one benchmark, a line of them for every metric."""
    lines = _lines(rows)
    columns = max((len(line) for line in lines), default=1)
    heights = [HEIGHT * _height(line, columns) for line in lines]
    figure = Figure(
        figsize=(WIDTH * columns, sum(heights) + 0.5), facecolor="white", layout="constrained"
    )
    note = " (simulated)" if rows["simulated"].any() else ""
    title = f"{rows['benchmark'].iloc[0]}{note}: {rows['encoder'].iloc[0]}"
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=12)
    grid = figure.add_gridspec(max(len(lines), 1), 1, height_ratios=heights or None)
    for number, line in enumerate(lines):
        # A figure of its own: long labels of one line take no room from another.
        part = figure.add_subfigure(grid[number, 0])
        if line[0].func is draw_maps:
            line[0](part, columns=MAPS_A_COLUMN * columns)
            continue
        cells = part.add_gridspec(1, columns)
        for column, draw in enumerate(line):
            draw(part.add_subplot(cells[0, column]))
        for place in part.axes:
            if place.get_label() != "<colorbar>":
                axes.plain(place)
    return figure


def _lines(rows: pd.DataFrame) -> list[list[Panel]]:
    """Panels by line: all metrics with surrogates in one, every other metric in its own."""
    if probes := probe_lines(rows):
        return probes
    special = [*map_line(rows), *event_lines(rows)]
    null, ceilings = rows[rows["kind"] == NULL], rows[rows["kind"] == CEILING]
    level = null[(null["analysis"] == "") & (null["window"] == "")]
    named = rows[(rows["analysis"] == ERP) & (rows["kind"] == "score") & (rows["window"] != "")]
    excess = rows[(rows["kind"] == EXCESS) & (rows["analysis"] == "")]
    # What lies above surrogates is seen in their band, but for layers in every person.
    rows = followed_scores(rows)
    rows = rows[rows["kind"] != EXCESS]
    tested = (rows["analysis"] == "") & rows["of"].isin(level["of"])
    lines = []
    if tested.any():
        lines.append([partial(draw_metrics, rows=rows[tested], null=level, ceilings=ceilings)])
        if len(layers_of(excess)) > 1:
            several = excess["of"].isin(excess.loc[excess["layer"] != SELECTED, "of"])
            lines[0].append(partial(draw_excess, rows=excess[several]))
    curves: dict[str, list[Panel]] = defaultdict(list)
    latencies: dict[str, list[Panel]] = defaultdict(list)
    # A delay alone is a number of the table.
    drawn = ~tested & (rows["of"].map(lambda name: facts(name).unit) != "s")
    for _, of_metric in rows[drawn].groupby("metric", sort=False):
        band = same_quantity(null, of_metric)
        band = band[~named_windows(band)]
        if len(band):
            in_time = of_metric[~named_windows(of_metric)]
            begin = str(of_metric["analysis"].iloc[0])
            curves[begin].append(partial(draw_curve, rows=in_time, null=band))
            excess = above_band(in_time[in_time["window"] != ""], band)
            excess["metric"] += " over surrogates"
            latencies[begin] += _panels_of(excess, True)
        elif panels := _panels_of(of_metric, False):
            lines.append(panels)
    timed = [
        panels[k : k + MOST_A_LINE]
        for begin in curves
        for panels in (curves[begin], latencies[begin])
        for k in range(0, len(panels), MOST_A_LINE)
    ]
    if len(named):
        level = null[null["analysis"] == ERP]
        timed.append([partial(draw_named, rows=named, null=level)])
    return [*lines[: int(tested.any())], *timed, *special, *lines[int(tested.any()) :]]


def _height(line: list[Panel], columns: int) -> float:
    """Maps, a heat map of many metrics and a list of many peaks are higher than other panels."""
    first = line[0]
    if first.func is draw_depths:
        return max(0.7, max(len(panel.keywords["rows"]) for panel in line) / 15)
    if first.func in (draw_metrics, draw_named):
        return max(1.0, first.keywords["rows"]["metric"].nunique() / 9)
    if first.func is draw_maps:
        count = first.keywords["maps"]["of"].nunique()
        return 0.2 + 0.6 * -(-count // (MAPS_A_COLUMN * columns))
    return 1.0


def _panels_of(rows: pd.DataFrame, curve: bool) -> list[Panel]:
    """Panels of one metric; of one that has a curve, the map of all layers."""
    timed = (rows["window"] != "").sum() > 1
    if curve:
        return [partial(draw_latency, rows=rows)] if len(layers_of(rows)) > 1 else []
    found: list[Panel] = []
    whole = rows[rows["window"] == ""]
    if whole["layer"].nunique() > 1:
        found.append(partial(draw_depth, rows=rows))
    plain = whole[whole["target"] != ""]
    if plain["target"].nunique() > MOST_BARS:
        found.append(partial(draw_histogram, rows=rows))
    elif plain["target"].nunique() > 1:
        found.append(partial(draw_targets, rows=rows))
    if timed:
        found.append(partial(draw_latency, rows=rows))
    if people(rows)["subject"].nunique() > 1:
        found.append(partial(draw_subjects, rows=rows))
    if not found and len(rows):
        found.append(partial(draw_depth if layers_of(rows) else draw_targets, rows=rows))
    return found
