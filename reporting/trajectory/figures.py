"""Trajectories and layer maps drawn by plotly (browser, logger) and matplotlib (PNG); the report.

Everything is made from score rows alone (:func:`reporting.tables.score_table`).
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from evaluation.metrics import LOWER_IS_BETTER
from reporting.trajectory.page import NOTHING, embed, failure_list, page, summary_table
from reporting.trajectory.panels import (
    GREY,
    INK,
    LABEL_ROOM,
    PALE,
    Panel,
    StepAxis,
    layer_maps,
    panel_title,
    panels,
    step_text,
)

COLOUR_MAP = "cividis"
TITLE_ROOM = 42
"""Letters in a line of a panel's title."""
Dash = str | tuple[int, tuple[int, int]]
DASHES: dict[str, Dash] = {"solid": "-", "dash": (0, (5, 3)), "dot": (0, (1, 2)), "dashdot": "-."}


def trajectory_figure(
    scores: pd.DataFrame,
    hours_per_step: float | None = None,
    baselines: pd.DataFrame | None = None,
) -> go.Figure:
    """Every benchmark and metric over training, as small multiples.

    Parameters
    ----------
    scores : DataFrame
        Scores of one run, from :func:`reporting.tables.score_table`.
    hours_per_step : float, optional
        Hours of audio in one training step, for a second row of tick labels.
    baselines : DataFrame, optional
        Scores of other encoders, drawn as horizontal lines.

    Returns
    -------
    plotly.graph_objects.Figure
        Step 0 is on the axis; labels stand at the lines' ends.
    """
    return _panel_grid(panels(scores, baselines), StepAxis.of(scores, hours_per_step))


def _panel_grid(shown: list[Panel], axis: StepAxis, columns: int = 2) -> go.Figure:
    columns = min(columns, len(shown)) or 1
    rows = -(-len(shown) // columns) or 1
    titles = [panel.title for panel in shown] or [NOTHING]
    spacing = {"horizontal_spacing": 0.09, "vertical_spacing": min(0.3, 95 / (340 * rows))}
    figure = make_subplots(rows, columns, subplot_titles=titles, **spacing)
    places = [{"row": 1 + i // columns, "col": 1 + i % columns} for i in range(len(shown))]
    for panel, place in zip(shown, places, strict=True):
        _draw_panel(figure, panel, axis, place)
    figure.update_layout(**_plain(340 * rows))
    figure.update_annotations(font={"size": 14, "color": INK})
    return figure


def _plain(height: int) -> dict[str, object]:
    return {
        "template": "none",
        "height": height,
        "showlegend": False,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "margin": {"l": 48, "r": 8, "t": 40, "b": 56},
        "hoverlabel": {"bgcolor": "white"},
        "dragmode": False,
    }


def _draw_panel(figure: go.Figure, panel: Panel, axis: StepAxis, place: dict[str, int]) -> None:
    for line in panel.lines:
        x = [axis.position(step) for step in line.steps]
        hover = line.notes or [line.name] * len(x)
        texts = [
            f"step {step:,}: {value:.3f}<br>{escape(note)}"
            for step, value, note in zip(line.steps, line.values, hover, strict=True)
        ]
        if line.band:
            low, high = line.band
            outline = {"x": x + x[::-1], "y": low + high[::-1], "fill": "toself"}
            look = {"mode": "none", "fillcolor": "rgba(26,26,26,0.14)", "hoverinfo": "skip"}
            figure.add_scatter(**outline, **look, **place)
        style = {"color": line.colour, "width": line.width, "dash": line.dash}
        figure.add_scatter(
            x=x,
            y=line.values,
            line=style,
            mode="lines+markers" if line.notes else "lines",
            marker={"size": 3 + line.width},
            hovertext=texts,
            hoverinfo="text",
            **place,
        )
    heights, names, colours = zip(*panel.labels(), strict=True)
    figure.add_scatter(
        x=[1.03 * axis.position(axis.last)] * len(names),
        y=heights,
        text=[escape(name) for name in names],
        textfont={"color": colours, "size": 11},
        mode="text",
        textposition="middle right",
        hoverinfo="skip",
        cliponaxis=False,
        **place,
    )
    where, texts = axis.ticks("<br>")
    lines = {"showgrid": False, "zeroline": False, "showline": True, "linecolor": PALE}
    ticks = {"tickvals": where, "ticktext": texts, "title": {"text": axis.title, "standoff": 6}}
    figure.update_xaxes(range=axis.span, **ticks, **lines, **place)
    figure.update_yaxes(range=panel.limits(), nticks=6, **lines, **place)


def _write_png(shown: list[Panel], axis: StepAxis, path: Path) -> None:
    figure, places = _canvas(len(shown))
    width, height = figure.get_size_inches()
    figure.subplots_adjust(0.6 / width, 0.7 / height, 1 - 0.1 / width, 1 - 0.35 / height, 0.2, 0.5)
    for place, panel in zip(places, shown, strict=True):
        _plot_panel(place, panel, axis)
    whole = figure.get_tightbbox().padded(0.1)
    _replace(path, lambda file: figure.savefig(file, format="png", dpi=150, bbox_inches=whole))


def _canvas(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(count, 2 if count in (2, 4) else 3) or 1
    rows = -(-count // columns) or 1
    figure = Figure(figsize=(4.4 * columns, 3.2 * rows), facecolor="white")
    if count == 0:
        figure.text(0.5, 0.5, NOTHING, ha="center", color=GREY)
    return figure, [figure.add_subplot(rows, columns, 1 + index) for index in range(count)]


def _plot_panel(place: Axes, panel: Panel, axis: StepAxis) -> None:
    for line in panel.lines:
        x = [axis.position(step) for step in line.steps]
        (drawn,) = place.plot(x, line.values, color=line.colour, linewidth=line.width)
        drawn.set(linestyle=DASHES[line.dash])
        if line.notes:
            drawn.set(marker="o", markersize=2 + line.width)
        if line.band:
            place.fill_between(x, *line.band, color=INK, alpha=0.14, linewidth=0)
    edge = 1.03 * axis.position(axis.last)
    for height, name, colour in panel.labels():
        place.text(edge, height, name, color=colour, va="center", fontsize=9, parse_math=False)
    title = textwrap.fill(panel.title, TITLE_ROOM)
    place.set_title(title, fontsize=10.5, loc="left", color=INK, parse_math=False)
    place.set(xlim=axis.span, ylim=panel.limits())
    place.set_xlabel(axis.title, x=0.5 / LABEL_ROOM)
    place.set_xticks(*axis.ticks())
    place.tick_params(labelsize=9, color=PALE)
    place.spines[["top", "right"]].set_visible(False)
    place.spines["bottom"].set_bounds(0, axis.position(axis.last))


def _layer_map(table: pd.DataFrame, metric: str) -> go.Figure:
    figure = go.Figure(layout=_plain(120 + 24 * max(len(table), 4)))
    if table.empty:
        return figure.add_annotation(text=NOTHING, showarrow=False)
    steps, layers = [str(step) for step in table.columns], table.index.tolist()
    title = {"text": metric, "side": "right"}
    figure.add_heatmap(
        x=steps,
        y=layers,
        z=table.to_numpy(),
        colorscale=COLOUR_MAP,
        colorbar={"thickness": 12, "outlinewidth": 0, "nticks": 5, "title": title},
        hovertemplate="step %{x}, %{y}: %{z:.3f}<extra></extra>",
    )
    dot = {"size": 8, "color": "white", "line": {"width": 1.5, "color": INK}}
    best = {"x": steps, "y": _best_layers(table, metric)}
    figure.add_scatter(**best, mode="markers", marker=dot, hoverinfo="skip")
    axis = {"type": "category", "automargin": True, "ticks": ""}
    few = _few(steps)
    ticks = {"tickvals": few, "ticktext": [step_text(int(step)) for step in few]}
    figure.update_xaxes(title={"text": "training step", "standoff": 6}, **ticks, **axis)
    return figure.update_yaxes(**axis)


def _few(steps: list[str]) -> list[str]:
    """At most seven of the steps, evenly picked."""
    return steps[:: -(-len(steps) // 7)]


def _best_layers(table: pd.DataFrame, metric: str) -> list[str]:
    return (table.idxmin() if metric in LOWER_IS_BETTER else table.idxmax()).tolist()


def layer_step_png(scores: pd.DataFrame, path: Path) -> None:
    """Layers by steps, the best layer of each step marked, for every benchmark and metric."""
    tables = layer_maps(scores)
    simulated = scores.groupby(["benchmark", "metric"])["simulated"].any()
    figure, places = _canvas(len(tables))
    figure.set_layout_engine("constrained")
    for place, (pair, table) in zip(places, tables.items(), strict=True):
        image = place.imshow(table, cmap=COLOUR_MAP, origin="lower", aspect="auto")
        figure.colorbar(image, ax=place, pad=0.02).outline.set_visible(False)
        rows = [table.index.get_loc(layer) for layer in _best_layers(table, pair[1])]
        place.scatter(range(len(rows)), rows, s=24, facecolors="white", edgecolors=INK)
        title = panel_title(*pair, bool(simulated[pair]))
        place.set_title(title, fontsize=10.5, loc="left", parse_math=False)
        few = _few([str(step) for step in table.columns])
        where = [table.columns.get_loc(int(step)) for step in few]
        place.set_xticks(where, [step_text(int(step)) for step in few])
        place.set_yticks(range(len(table)), table.index)
        place.tick_params(labelsize=9, length=0)
        place.set_xlabel("training step")
        place.spines[:].set_visible(False)
    _replace(path, lambda temporary: figure.savefig(temporary, format="png", dpi=150))


def write_report(
    scores: pd.DataFrame,
    folder: Path,
    title: str,
    hours_per_step: float | None = None,
    failures: Iterable[object] = (),
    baselines: pd.DataFrame | None = None,
) -> Path:
    """Write ``trajectory.html`` (one file, needs no network) and ``trajectory.png``.

    Each file takes its place at once, so a reader never meets half of one.

    Parameters
    ----------
    scores, hours_per_step, baselines
        As in :func:`trajectory_figure`.
    folder : Path
        Made if missing.
    title : str
        Title of the page.
    failures : iterable
        Mappings or dataclass instances with ``benchmark``, ``error`` and ``step``.

    Returns
    -------
    Path
        The HTML file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown, maps = panels(scores, baselines), layer_maps(scores)
    axis = StepAxis.of(scores, hours_per_step)
    _write_png(shown, axis, folder / "trajectory.png")
    sections = []
    for panel in shown:
        drawn = embed(_panel_grid([panel], axis), f"{panel.title} over training")
        table = maps.get((panel.benchmark, panel.metric), pd.DataFrame())
        if len(table) > 1:
            drawn += embed(_layer_map(table, panel.metric), f"{panel.title} by layer and step")
        sections.append(f"<section><h2>{escape(panel.title)}</h2>{drawn}</section>")
    before = failure_list(failures) + summary_table(scores)
    text = page(title, before, sections)
    path = folder / "trajectory.html"
    _replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then put it there in one move."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
