"""Figures of one encoder's scores: profiles over layers, targets, time, participants, electrodes.

Everything is made from score rows alone (:func:`reporting.tables.score_table`).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alignment.inference import within_participant_sem
from evaluation.rows import SELECTED
from reporting.kinds import CEILING, EXCESS, NULL, followed, named_windows, same_quantity
from reporting.profiles import axes
from reporting.profiles.event_panels import draw_depths, event_lines
from reporting.profiles.probe_panels import probe_lines
from reporting.profiles.scalp import draw_maps, map_line
from reporting.profiles.time_panels import above_band, draw_curve, draw_metrics
from reporting.tables import layer_means
from reporting.trajectory.figures import COLOUR_MAP
from reporting.trajectory.panels import GREY, INK, OKABE_ITO

Panel = partial[None]
HEIGHT, WIDTH = 3.4, 4.8
MOST_BARS = 64
MAPS_A_COLUMN = 2


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
    # What lies above surrogates is seen in their band.
    rows = followed(rows)
    rows = rows[rows["kind"] != EXCESS]
    tested = (rows["analysis"] == "") & rows["of"].isin(level["of"])
    lines = []
    if tested.any():
        lines.append([partial(draw_metrics, rows=rows[tested], null=level, ceilings=ceilings)])
    curves: dict[str, list[Panel]] = defaultdict(list)
    latencies: dict[str, list[Panel]] = defaultdict(list)
    for _, of_metric in rows[~tested].groupby("metric", sort=False):
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
    timed = [line for begin in curves for line in (curves[begin], latencies[begin]) if line]
    return [*lines[: int(tested.any())], *timed, *special, *lines[int(tested.any()) :]]


def _height(line: list[Panel], columns: int) -> float:
    """Maps, a heat map of many metrics and a list of many peaks are higher than other panels."""
    first = line[0]
    if first.func is draw_depths:
        return max(0.7, max(len(panel.keywords["rows"]) for panel in line) / 15)
    if first.func is draw_metrics:
        return max(1.0, first.keywords["rows"]["metric"].nunique() / 9)
    if first.func is draw_maps:
        count = first.keywords["maps"]["of"].nunique()
        return 0.2 + 0.6 * -(-count // (MAPS_A_COLUMN * columns))
    return 1.0


def _panels_of(rows: pd.DataFrame, curve: bool) -> list[Panel]:
    """Panels of one metric; of one that has a curve, the map of all layers."""
    timed = (rows["window"] != "").sum() > 1
    if curve:
        return [partial(_draw_latency, rows=rows)] if len(_layers(rows)) > 1 else []
    found: list[Panel] = []
    whole = rows[rows["window"] == ""]
    if whole["layer"].nunique() > 1:
        found.append(partial(_draw_depth, rows=rows))
    plain = whole[whole["target"] != ""]
    if plain["target"].nunique() > MOST_BARS:
        found.append(partial(_draw_histogram, rows=rows))
    elif plain["target"].nunique() > 1:
        found.append(partial(_draw_targets, rows=rows))
    if timed:
        found.append(partial(_draw_latency, rows=rows))
    if _people(rows)["subject"].nunique() > 1:
        found.append(partial(_draw_subjects, rows=rows))
    if not found and len(rows):
        found.append(partial(_draw_depth if _layers(rows) else _draw_targets, rows=rows))
    return found


def _layers(rows: pd.DataFrame) -> list[str]:
    return [layer for layer in rows["layer"].unique() if layer != SELECTED]


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a layer: all targets, all subjects, no window."""
    return layer_means(rows[rows["window"] == ""], ["metric"]).set_index("layer")


def _people(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one participant, all targets, no window."""
    return rows[(rows["subject"] != "") & (rows["target"] == "") & (rows["window"] == "")]


def _draw_depth(place: Axes, rows: pd.DataFrame) -> None:
    """The mean of every layer from shallow to deep, with interval, ceiling and the own choice."""
    means, layers = _whole(rows), _layers(rows)
    values = means.loc[layers]
    x = np.arange(len(layers))
    _draw_errors(place, rows, layers, values["value"])
    if values[["ci_low", "ci_high"]].notna().all(axis=None):
        place.fill_between(x, values["ci_low"], values["ci_high"], color=INK, alpha=0.14, lw=0)
    place.plot(x, values["value"], color=INK, marker="o", markersize=4)
    ceiling = values["ceiling"].dropna()
    if len(ceiling):
        place.axhline(ceiling.iloc[0], color=GREY, ls="--", lw=1.2)
        by_subject = rows[(rows["subject"] != "") & (rows["layer"] == layers[0])]["ceiling"]
        if by_subject.notna().sum() > 1:
            spread = by_subject.std() / np.sqrt(by_subject.notna().sum())
            low, high = ceiling.iloc[0] - spread, ceiling.iloc[0] + spread
            place.axhspan(low, high, color=GREY, alpha=0.2, lw=0)
        place.text(0, ceiling.iloc[0], "ceiling", color=GREY, fontsize=8.5, va="bottom")
    if SELECTED in means.index:
        chosen = float(means.loc[SELECTED, "value"])
        place.axhline(chosen, color=OKABE_ITO[1], ls=":", lw=1.4)
        text = place.text(x[-1], 0.985 * chosen, "own choice of layer")
        text.set(color=OKABE_ITO[1], fontsize=8.5, ha="right", va="top")
    low, high = place.get_ylim()
    low = low if bool((values["value"] < 0).any()) else 0.0
    place.set_ylim(low, high + 0.05 * (high - low))
    place.set_xticks(x, [str(layer) for layer in layers], rotation=30, ha="right")
    place.set_title(f"{rows['metric'].iloc[0]} by layer", fontsize=10.5, loc="left", color=INK)


def _draw_errors(place: Axes, rows: pd.DataFrame, layers: list[str], means: pd.Series) -> None:
    """Standard errors within participants: the part of a layer's error that layers do not share."""
    table = (
        _people(rows).pivot_table(index="layer", columns="subject", values="value").reindex(layers)
    )
    if table.shape[1] > 1 and len(table) > 1:
        error = within_participant_sem(torch.from_numpy(table.to_numpy(copy=True)))
        place.errorbar(np.arange(len(layers)), means, error, fmt="none", ecolor=INK, lw=1.4)


def _draw_targets(place: Axes, rows: pd.DataFrame) -> None:
    """A bar for every target: the protocol's own layer, or the best one of each target."""
    plain = rows[rows["window"] == ""]
    named = plain[plain["target"] != ""]
    named = named if len(named) else plain.assign(target="all")
    own = named[named["layer"] == SELECTED]
    means = layer_means(own if len(own) else named, ["target"])
    order = list(dict.fromkeys(named["target"]))
    best = means.sort_values("value").groupby("target").last().loc[order]
    x = np.arange(len(order))
    place.bar(x, best["value"], color=OKABE_ITO[0], width=0.7)
    known = best[["ci_low", "ci_high"]].notna().all(axis=None)
    if known:
        error = [best["value"] - best["ci_low"], best["ci_high"] - best["value"]]
        place.errorbar(x, best["value"], error, fmt="none", ecolor=INK, lw=1.2)
    if best["ceiling"].notna().any():
        place.scatter(x, best["ceiling"], marker="_", s=160, color=GREY, zorder=3)
    place.set_xticks(
        x,
        order,
        rotation=30 if len(order) < 10 else 90,
        ha="right" if len(order) < 10 else "center",
    )
    what = "own choice of layer" if len(own) else "best layer of each"
    metric = rows["metric"].iloc[0]
    place.set_title(f"{metric} by target ({what})", fontsize=10.5, loc="left", color=INK)


def _draw_histogram(place: Axes, rows: pd.DataFrame) -> None:
    """How often each value occurs among many targets, such as voxels."""
    values = rows.loc[rows["target"] != "", "value"]
    place.hist(values, bins=40, color=OKABE_ITO[0])
    place.axvline(values.median(), color=INK, lw=1.4)
    place.set_ylabel("targets")
    title = f"{rows['metric'].iloc[0]} of {len(values):,} targets, median {values.median():.2f}"
    place.set_title(title, fontsize=10.5, loc="left", color=INK)


def _draw_latency(place: Axes, rows: pd.DataFrame) -> None:
    """Layer by time: a dot marks the best layer at every time."""
    timed = rows[rows["window"] != ""]
    table = timed.pivot_table(index="layer", columns="window", values="value", sort=False)
    table = table.loc[_layers(timed)]
    image = place.imshow(table, cmap=COLOUR_MAP, origin="lower", aspect="auto")
    bar = place.figure.colorbar(image, ax=place, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    best = table.to_numpy().argmax(0)
    place.scatter(range(len(best)), best, s=20, facecolors="white", edgecolors=INK)
    few = range(0, table.shape[1], -(-table.shape[1] // 7))
    place.set_xticks(list(few), [str(table.columns[i]) for i in few])
    place.set_yticks(range(len(table)), [str(layer) for layer in table.index])
    metric = rows["metric"].iloc[0]
    delay = rows["analysis"].iloc[0] == "delay"
    place.set_xlabel("delay of the response (s)" if delay else "time from onset (s)")
    place.set_title(f"{metric} by layer", fontsize=10.5, loc="left")


def _draw_subjects(place: Axes, rows: pd.DataFrame) -> None:
    """A dot for every participant at every layer, and their mean."""
    mine = _people(rows)
    layers = list(mine["layer"].unique())
    names = list(dict.fromkeys(mine["subject"]))
    for number, subject in enumerate(names):
        one = mine[mine["subject"] == subject].set_index("layer")["value"].reindex(layers)
        shift = 0.3 * (number / max(len(names) - 1, 1) - 0.5)
        x = np.arange(len(layers)) + shift
        place.scatter(x, one, s=16, color=OKABE_ITO[number % len(OKABE_ITO)], alpha=0.8, lw=0)
    means = mine.groupby("layer", sort=False)["value"].mean().reindex(layers)
    place.scatter(range(len(layers)), means, marker="_", s=200, color=INK)
    place.set_xticks(range(len(layers)), [str(layer) for layer in layers], rotation=30, ha="right")
    metric = rows["metric"].iloc[0]
    title = f"{metric} of {len(names)} participants"
    place.set_title(title, fontsize=10.5, loc="left", color=INK)
