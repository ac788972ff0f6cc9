"""Trajectories and layer maps, drawn once for browser, logger and PNG; the report.

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
from plotly.subplots import make_subplots

from evaluation.metrics import LOWER_IS_BETTER
from reporting.drawing.plain import plain_figure
from reporting.drawing.png import WIDTH, write_png
from reporting.trajectory.page import NOTHING, embed, failure_list, page, summary_table
from reporting.trajectory.panels import (
    INK,
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
NAME_ROOM = 14
"""Letters of a line's name that have room within a panel."""


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
    titles = _fold_titles(titles)
    room = 120 if any("<br>" in title for title in titles) else 95  # pixels between panels
    longest = max((len(name) for panel in shown for _, name, _ in panel.labels()), default=0)
    beside = 0.09 + 0.007 * max(0, longest - NAME_ROOM)
    spacing = {"horizontal_spacing": min(0.25, beside)}
    spacing["vertical_spacing"] = min(0.3, room / (340 * rows))
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


def _layer_map(table: pd.DataFrame, metric: str) -> go.Figure:
    figure = make_subplots(1, 1)
    _draw_layers(figure, table, metric, {"row": 1, "col": 1})
    return figure.update_layout(**_plain(120 + 24 * max(len(table), 4)))


def _draw_layers(
    figure: go.Figure, table: pd.DataFrame, metric: str, place: dict[str, int]
) -> None:
    steps, layers = [str(step) for step in table.columns], table.index.tolist()
    axes = next(figure.select_xaxes(**place)), next(figure.select_yaxes(**place))
    (_, right), (low, high) = (axis.domain or (0, 1) for axis in axes)
    figure.add_heatmap(
        x=steps,
        y=layers,
        z=table.to_numpy(),
        colorscale=COLOUR_MAP,
        colorbar={
            "thickness": 12,
            "outlinewidth": 0,
            "nticks": 5,
            "x": right + 0.01,
            "y": (low + high) / 2,
            "len": high - low,
        },
        hovertemplate="step %{x}, %{y}: %{z:.3f}<extra></extra>",
        **place,
    )
    dot = {"size": 8, "color": "white", "line": {"width": 1.5, "color": INK}}
    best = {"x": steps, "y": _best_layers(table, metric)}
    figure.add_scatter(**best, mode="markers", marker=dot, hoverinfo="skip", **place)
    axis = {"type": "category", "automargin": True, "ticks": "", **place}
    few = _pick_steps(steps)
    ticks = {"tickvals": few, "ticktext": [step_text(int(step)) for step in few]}
    figure.update_xaxes(title={"text": "training step", "standoff": 6}, **ticks, **axis)
    figure.update_yaxes(**axis)


def _fold_titles(titles: list[str]) -> list[str]:
    """Titles in lines short enough for a panel."""
    return ["<br>".join(textwrap.wrap(title, TITLE_ROOM)) or title for title in titles]


def _pick_steps(steps: list[str]) -> list[str]:
    """At most seven of the steps, evenly picked."""
    return steps[:: -(-len(steps) // 7)]


def _best_layers(table: pd.DataFrame, metric: str) -> list[str]:
    return (table.idxmin() if metric in LOWER_IS_BETTER else table.idxmax()).tolist()


def layer_step_figure(scores: pd.DataFrame, columns: int = 2) -> go.Figure:
    """Layers by steps, the best layer of each step marked, for every benchmark and metric."""
    tables = layer_maps(scores)
    simulated = scores.groupby(["benchmark", "metric"])["simulated"].any()
    columns = min(columns, len(tables)) or 1
    rows = -(-len(tables) // columns) or 1
    titles = [panel_title(*pair, bool(simulated[pair])) for pair in tables] or [NOTHING]
    longest = max((len(str(name)) for table in tables.values() for name in table.index), default=0)
    beside = min(0.5, (80 + 8 * longest) / WIDTH)  # a scale of colours and names of layers
    spacing = {"horizontal_spacing": beside, "vertical_spacing": 0.28 / rows}
    figure = make_subplots(rows, columns, subplot_titles=_fold_titles(titles), **spacing)
    for number, (pair, table) in enumerate(tables.items()):
        place = {"row": 1 + number // columns, "col": 1 + number % columns}
        _draw_layers(figure, table, pair[1], place)
    most = max((len(table) for table in tables.values()), default=4)
    figure.update_layout(**_plain(rows * (130 + 22 * max(most, 8))))
    return figure.update_annotations(font={"size": 14, "color": INK})


def layer_step_png(scores: pd.DataFrame, path: Path) -> None:
    """:func:`layer_step_figure` as a PNG."""
    _write_png(layer_step_figure(scores), path)


def _write_png(figure: go.Figure, path: Path) -> None:
    _replace(path, lambda temporary: write_png(plain_figure(figure), temporary))


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
    _write_png(_panel_grid(shown, axis), folder / "trajectory.png")
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
