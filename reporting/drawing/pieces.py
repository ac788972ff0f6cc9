"""How figures of a comparison look, and the pieces they are drawn from."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reporting.drawing.colours import colour_of, symbol_of
from reporting.gathering.gathered import Gathered
from reporting.statistics.estimates import Estimate
from reporting.trajectory.panels import GREY, INK, PALE

DIVERGING = [[0, "#8A3A00"], [0.25, "#E08A4F"], [0.5, "#F7F7F7"], [0.75, "#4F9BD0"], [1, "#003F66"]]
"""From orange over white to blue: told apart by every kind of colour vision."""
FONT = 15
WIDTH = 900
LETTER, LINE = 7.5, 15
"""Pixels that a letter is wide and a line of text is high."""
TITLE_LETTERS = 42
"""Letters of a panel's title in one line."""
CANDIDATES = {
    "middle right": (0.5, 0.0),
    "middle left": (-0.5, 0.0),
    "top center": (0.0, 1.0),
    "bottom center": (0.0, -1.0),
}


Looks = tuple[dict[str, str], dict[str, str]]
"""Colour and mark of every name."""


def encoder_looks(gathered: Gathered) -> Looks:
    """Colour and mark of every name; an encoder has those of its last step at all of its steps.

    Those with a trajectory come first, since lines are told apart by colour, and controls last,
    by the alphabet among equals.
    """
    table = gathered.encoders
    runs, final = table["run"].astype(str), table["final"].astype(bool)
    alone = table["step"].groupby(runs).transform("nunique") < 2
    order = zip(table["control"].astype(bool), alone, table.index, strict=True)
    names = [name for *_, name in sorted(o for o, ends in zip(order, final, strict=True) if ends)]
    last = dict(zip(runs[final], table.index[final], strict=True))
    colours, symbols = {}, {}
    dealt = colour_of(names), symbol_of(names)
    for name, run in zip(table.index, runs, strict=True):
        own = name if name in dealt[0] else last.get(run, "")
        colours[name] = dealt[0].get(own, GREY)
        symbols[name] = dealt[1].get(own, "circle")
    return colours, symbols


def panels(titles: Sequence[str], columns: int = 2, height: int = 330) -> go.Figure:
    """Empty panels, a title above each; rows and columns are counted from 1."""
    columns = min(columns, len(titles)) or 1
    rows = -(-len(titles) // columns) or 1
    vertical = min(0.3, 100 / (height * rows))
    lines = ["<br>".join(textwrap.wrap(t, TITLE_LETTERS, break_long_words=False)) for t in titles]
    figure = make_subplots(
        rows, columns, subplot_titles=lines, horizontal_spacing=0.12, vertical_spacing=vertical
    )
    figure.update_annotations(font={"size": FONT, "color": INK})
    return finish(figure, height * rows + 60)


def place(number: int, count: int, columns: int = 2) -> dict[str, int]:
    """Row and column of the panel of that number, counted from 0."""
    columns = min(columns, count) or 1
    return {"row": 1 + number // columns, "col": 1 + number % columns}


def finish(figure: go.Figure, height: int, x: str = "", y: str = "") -> go.Figure:
    """The look of every figure: large type, no frame, no grid."""
    lines = {"showgrid": False, "zeroline": False, "showline": True, "linecolor": PALE}
    figure.update_layout(
        template="none",
        height=height,
        width=WIDTH,
        showlegend=False,
        font={"family": "system-ui, sans-serif", "size": FONT, "color": INK},
        margin={"l": 70, "r": 20, "t": 50, "b": 60},
        hoverlabel={"bgcolor": "white"},
        dragmode=False,
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    figure.update_xaxes(automargin=True, ticks="outside", tickcolor=PALE, **lines)
    figure.update_yaxes(automargin=True, ticks="outside", tickcolor=PALE, nticks=6, **lines)
    if x:
        figure.update_xaxes(title={"text": x, "standoff": 8})
    if y:
        figure.update_yaxes(title={"text": y, "standoff": 8})
    return figure


def translucent(colour: str, share: float = 0.18) -> str:
    """A colour that lets others through, for bands."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def legend(figure: go.Figure) -> None:
    """A legend at the upper edge, above the titles of panels; of what has a name."""
    figure.for_each_trace(lambda trace: trace.update(showlegend=bool(trace.name)))
    names = [str(trace.name) for trace in figure.data if trace.showlegend]
    rows = 1 + int(sum(LETTER * len(name) + 60 for name in names) // (WIDTH - 100))
    above = {"orientation": "h", "x": 0, "xanchor": "left", "yref": "container"}
    above |= {"y": 1, "yanchor": "top"}
    top = 45 + 22 * rows
    height = figure.layout.height + max(0, top - figure.layout.margin.t)
    figure.update_layout(showlegend=bool(names), legend=above, height=height, margin={"t": top})


def key(figure: go.Figure) -> None:
    """A legend of the PNG alone; on the page the pointer says which line is which."""
    figure.update_layout(legend={"orientation": "h"}, meta={"key": True})


def room(figure: go.Figure, estimates: Iterable[Estimate], mark: float) -> None:
    """An x axis that holds a mark and all intervals, with room at both ends."""
    known = [end for x in estimates for end in (x.value, x.low, x.high) if not math.isnan(end)]
    low, high = min([mark, *known]), max([mark, *known])
    margin = 0.04 * (high - low) or 0.1
    figure.update_xaxes(range=[low - margin, high + margin])


def log_axis(figure: go.Figure, values: Iterable[float], **where: int) -> None:
    """A logarithmic x axis with ticks at 1, 2 and 5 of every power of ten, or at tens alone."""
    known = [value for value in values if value > 0]
    if not known:
        return
    powers = range(math.floor(math.log10(min(known))), math.ceil(math.log10(max(known))) + 1)
    leads = (1, 2, 5) if len(powers) < 5 else (1,)
    ticks = [lead * 10.0**power for power in powers for lead in leads]
    low, high = math.log10(min(known)) - 0.08, math.log10(max(known)) + 0.08
    ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
    texts = [f"{tick:,.10g}" for tick in ticks]
    axis = {"type": "log", "tickvals": ticks, "ticktext": texts, "range": [low, high]}
    figure.update_xaxes(**axis, **where)


def error_bars(estimates: Iterable[Estimate], colour: str = INK) -> dict[str, object]:
    """Bars from the value to both ends of its interval; none where there is no interval."""
    known = list(estimates)
    up = np.array([x.high - x.value for x in known])
    down = np.array([x.value - x.low for x in known])
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(up).clip(0),
        "arrayminus": np.nan_to_num(down).clip(0),
        "color": colour,
        "thickness": 1.8,
        "width": 4,
    }


def rule(figure: go.Figure, x: Sequence[float], y: Sequence[float], **where: int) -> None:
    """A thin dashed line, for floors, ceilings and zero."""
    line = {"color": GREY, "width": 1.2, "dash": "dash"}
    figure.add_scatter(x=list(x), y=list(y), mode="lines", line=line, hoverinfo="skip", **where)


def dots(
    figure: go.Figure,
    labels: Sequence[str],
    estimates: Sequence[Estimate],
    colour: str,
    symbol: str = "circle",
    name: str = "",
    shift: float = 0.0,
    **where: int,
) -> None:
    """A line of the figure for every label, with its value and interval; the first on top."""
    y = [len(labels) - 1 - i + shift for i in range(len(labels))]
    figure.add_scatter(
        x=[x.value for x in estimates],
        y=y,
        error_x=error_bars(estimates, colour),
        mode="markers",
        marker={"color": colour, "size": 11, "symbol": symbol},
        hovertext=[f"{label}: {x}, n = {x.n}" for label, x in zip(labels, estimates, strict=True)],
        hoverinfo="text",
        name=name,
        **where,
    )
    ticks = {"tickvals": list(range(len(labels))), "ticktext": list(labels)[::-1]}
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4], showline=False, ticks="", **ticks, **where)


def heat_map(
    table: pd.DataFrame, title: str, hover: np.ndarray, low: float = -1.0, high: float = 1.0
) -> go.Figure:
    """Rows from top to bottom, a cell for each column; ``hover`` holds the text of each cell."""
    figure = go.Figure()
    figure.add_heatmap(
        x=list(table.columns),
        y=list(table.index),
        z=table.to_numpy(float),
        zmin=low,
        zmax=high,
        colorscale=DIVERGING,
        text=hover,
        hoverinfo="text",
        xgap=1,
        ygap=1,
        colorbar={"thickness": 14, "outlinewidth": 0, "title": {"text": title, "side": "right"}},
    )
    finish(figure, 160 + 24 * max(len(table), 4))
    figure.update_xaxes(type="category", showline=False, ticks="", tickangle=-40)
    return figure.update_yaxes(
        type="category", autorange="reversed", showline=False, ticks="", nticks=len(table) + 1
    )


def label_places(
    x: Sequence[float], y: Sequence[float], texts: Sequence[str], size: tuple[float, float]
) -> list[str]:
    """Where the name of each point stands; empty where it would cover another.

    Parameters
    ----------
    size : tuple of float
        Width and height of the plot in pixels.
    """
    points = np.stack([_pixels(x, size[0]), _pixels(y, size[1])], axis=1)
    taken = [(px - 6, py - 6, px + 6, py + 6) for px, py in points]
    found = []
    for own, ((px, py), text) in enumerate(zip(points, texts, strict=True)):
        wide, chosen = LETTER * len(text), ""
        for where, (right, up) in CANDIDATES.items():
            left = px - wide / 2 + right * (wide + 18)
            base = py - LINE / 2 + up * (LINE + 4)
            box = (left, base, left + wide, base + LINE)
            inside = left > -20 and left + wide < size[0] + 20
            if inside and not any(
                _overlap(box, other) for i, other in enumerate(taken) if i != own
            ):
                chosen = where
                taken.append(box)
                break
        found.append(chosen)
    return found


def _pixels(values: Sequence[float], length: float) -> np.ndarray:
    known = np.asarray(values, float)
    span = float(np.ptp(known)) or 1.0
    # Plotly leaves a margin of about a twentieth at both ends.
    return (0.06 + 0.88 * (known - known.min()) / span) * length


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
