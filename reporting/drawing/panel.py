"""One panel of a plotly figure, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.drawing.scales import Scale
from reporting.drawing.styles import (
    DASHES,
    MARKERS,
    POINT,
    SMALL,
    colormap,
    first_of,
    marker_style,
    numbers,
    point_colours,
    repeat_to,
    rgba,
    strip_html,
)
from reporting.trajectory.panels import GREY, INK


class MatplotlibPanel:
    """One panel: an x and a y axis, and what is drawn between them."""

    def __init__(self, figure: Figure, layout: Mapping[str, Any], x: str, y: str) -> None:
        self.layout = layout
        self.axis = {"x": _axis(layout, x), "y": _axis(layout, y)}
        left, right = self.axis["x"].get("domain") or (0, 1)
        low, high = self.axis["y"].get("domain") or (0, 1)
        # Room for words is given by the tight box around everything.
        self.axes: Axes = figure.add_axes((left, low, right - left, high - low))
        self.scales = {name: Scale(self.axis[name]) for name in "xy"}
        self.names = False

    def draw(self, trace: Mapping[str, Any]) -> None:
        """Add one trace."""
        kind = str(trace.get("type") or "scatter")
        draw = {
            "scatter": self._scatter,
            "scattergl": self._scatter,
            "bar": self._bar,
            "heatmap": self._heatmap,
        }.get(kind)
        if draw is None:
            raise ValueError(
                f"a trace of kind {kind} cannot be drawn as PNG: use lines, points, bars or maps, "
                "or teach reporting/drawing/panel.py to draw it"
            )
        draw(trace)

    def _points(self, trace: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        x, y = trace.get("x"), trace.get("y")
        x = list(range(len(y or []))) if x is None else x
        y = list(range(len(x))) if y is None else y
        return self.scales["x"].places(x), self.scales["y"].places(y)

    def _scatter(self, trace: Mapping[str, Any]) -> None:
        x, y = self._points(trace)
        mode = str(trace.get("mode") or "lines")
        line, marker = trace.get("line") or {}, trace.get("marker") or {}
        colour = rgba(line.get("color") or first_of(marker.get("color")) or INK)
        alpha = float(trace.get("opacity", 1))
        shown = bool(trace.get("name")) and trace.get("showlegend", True)
        label = strip_html(trace["name"]) if shown else None
        if trace.get("fill") in ("toself", "tozeroy", "tonexty", "tozerox"):
            face = rgba(trace.get("fillcolor") or colour, 0.2)
            self._fill(x, y, trace["fill"], face)
        if "lines" in mode:
            style = DASHES.get(str(line.get("dash")), "-")
            width = float(line.get("width", 2)) * POINT
            look: dict[str, Any] = {"color": colour, "lw": width, "ls": style, "alpha": alpha}
            self.axes.plot(x, y, **look)
            if label:  # what stands in the legend has the mark too
                look |= marker_style(marker) if "markers" in mode else {}
                self.axes.plot([], [], label=label, **look)
            label = None
        if "markers" in mode:
            self._markers(x, y, marker, colour, alpha, label)
        self._errors(trace, x, y, colour)
        if "text" in mode:
            self._texts(trace, x, y)
        self._before = (x, y)

    def _fill(self, x: np.ndarray, y: np.ndarray, how: str, face: Any) -> None:
        if how == "tonexty" and getattr(self, "_before", None) is not None:
            bx, by = self._before
            x, y = np.concatenate([x, bx[::-1]]), np.concatenate([y, by[::-1]])
        elif how == "tozeroy":
            x, y = np.concatenate([x, x[::-1]]), np.concatenate([y, np.zeros_like(y)])
        elif how == "tozerox":
            x, y = np.concatenate([x, np.zeros_like(x)]), np.concatenate([y, y[::-1]])
        known = np.isfinite(x) & np.isfinite(y)
        self.axes.fill(x[known], y[known], color=face, lw=0)

    def _markers(
        self,
        x: np.ndarray,
        y: np.ndarray,
        marker: Mapping[str, Any],
        colour: Any,
        alpha: float,
        label: str | None,
    ) -> None:
        n = len(x)
        colours = point_colours(marker, n, colour)
        symbols = repeat_to(marker.get("symbol") or "circle", n)
        sizes = np.asarray([float(s or 6) for s in repeat_to(marker.get("size", 6), n)]) * POINT
        edge = marker.get("line") or {}
        edges = [rgba(c or INK) for c in repeat_to(edge.get("color"), n)]
        widths = [float(w or 0) * POINT for w in repeat_to(edge.get("width", 0), n)]
        alpha *= float(first_of(marker.get("opacity")) or 1)
        for symbol in dict.fromkeys(symbols):
            rows = [k for k in range(n) if symbols[k] == symbol and np.isfinite(x[k] + y[k])]
            name = str(symbol)
            hollow = "-open" in name
            shape = MARKERS.get(name.removesuffix("-dot").removesuffix("-open"), "o")
            own = [colours[k] for k in rows]
            self.axes.scatter(
                x[rows],
                y[rows],
                s=(sizes[rows] * SMALL.get(shape, 1)) ** 2,
                marker=shape,
                facecolors="none" if hollow else own,
                edgecolors=own if hollow else [edges[k] for k in rows],
                linewidths=1.5 if hollow or shape in "|_" else [widths[k] for k in rows],
                alpha=alpha,
                label=label,
                zorder=3,
            )
            label = None

    def _errors(self, trace: Mapping[str, Any], x: np.ndarray, y: np.ndarray, colour: Any) -> None:
        for side in "xy":
            error = trace.get(f"error_{side}") or {}
            if not error or error.get("visible") is False or error.get("array") is None:
                continue
            up = np.nan_to_num(numbers(error["array"]))
            down = error.get("arrayminus")
            down = up if down is None or error.get("symmetric") else np.nan_to_num(numbers(down))
            bars: dict[str, Any] = {f"{side}err": np.stack([down, up])}
            self.axes.errorbar(
                x,
                y,
                **bars,
                fmt="none",
                ecolor=rgba(error.get("color") or colour),
                elinewidth=float(error.get("thickness", 2)) * POINT,
                capsize=float(error.get("width", 4)) * POINT,
                zorder=2,
            )

    def _texts(self, trace: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> None:
        n, font = len(x), trace.get("textfont") or {}
        texts, where = repeat_to(trace.get("text"), n), repeat_to(trace.get("textposition"), n)
        sizes, colours = (
            repeat_to(font.get("size") or 12, n),
            repeat_to(font.get("color") or INK, n),
        )
        for k in range(n):
            if not texts[k] or not (np.isfinite(x[k]) and np.isfinite(y[k])):
                continue
            up, _, right = str(where[k] or "middle center").partition(" ")
            self.axes.annotate(
                strip_html(texts[k]),
                (x[k], y[k]),
                xytext=(
                    {"left": -6, "right": 6}.get(right, 0),
                    {"top": 6, "bottom": -6}.get(up, 0),
                ),
                textcoords="offset points",
                ha={"left": "right", "right": "left"}.get(right, "center"),
                va={"top": "bottom", "bottom": "top"}.get(up, "center"),
                color=rgba(colours[k]),
                fontsize=float(sizes[k]) * POINT,
                parse_math=False,
            )

    def _bar(self, trace: Mapping[str, Any]) -> None:
        x, y = self._points(trace)
        across = trace.get("orientation") == "h"
        n, marker = len(x), trace.get("marker") or {}
        width = trace.get("width")
        thick = np.asarray([float(w) for w in repeat_to(0.8 if width is None else width, n)])
        offset = trace.get("offset")
        shift = 0.0 if offset is None else float(first_of(offset)) + thick[0] / 2
        colours = point_colours(marker, n, rgba(INK))
        base = np.nan_to_num(numbers(repeat_to(trace.get("base") or 0, n)))
        label = (
            strip_html(trace["name"])
            if trace.get("name") and trace.get("showlegend", True)
            else None
        )
        if across:
            self.axes.barh(y + shift, x, thick, left=base, color=colours, label=label)
        else:
            self.axes.bar(x + shift, y, thick, bottom=base, color=colours, label=label)
        if across:
            self._errors(trace, x + base, y + shift, rgba(INK))
        else:
            self._errors(trace, x + shift, y + base, rgba(INK))

    def _heatmap(self, trace: Mapping[str, Any]) -> None:
        z = np.array([[np.nan if v is None else float(v) for v in row] for row in trace["z"]])
        x = list(range(z.shape[1])) if trace.get("x") is None else trace["x"]
        y = list(range(z.shape[0])) if trace.get("y") is None else trace["y"]
        edges = [_edges(self.scales["x"].places(x)), _edges(self.scales["y"].places(y))]
        known = z[np.isfinite(z)]
        low, high = (known.min(), known.max()) if len(known) else (0, 1)
        drawn = self.axes.pcolormesh(
            *edges,
            np.ma.masked_invalid(z),
            cmap=colormap(trace),
            vmin=trace.get("zmin", low),
            vmax=trace.get("zmax", high),
            edgecolors="white" if trace.get("xgap") else "none",
            linewidth=0.6 if trace.get("xgap") else 0,
        )
        if trace.get("texttemplate") and trace.get("text"):
            self._cells(trace, z, edges)
        if trace.get("showscale", True):
            self._bar_of_colours(drawn, trace.get("colorbar") or {})

    def _cells(self, trace: Mapping[str, Any], z: np.ndarray, edges: list[np.ndarray]) -> None:
        across, down = ((edge[:-1] + edge[1:]) / 2 for edge in edges)
        size = float((trace.get("textfont") or {}).get("size") or 11) * POINT
        for i, j in np.ndindex(z.shape):
            text = strip_html(trace["text"][i][j] or "")
            if text:
                self.axes.text(
                    *(across[j], down[i], text), ha="center", va="center", fontsize=size, color=INK
                )

    def _bar_of_colours(self, drawn: Any, said: Mapping[str, Any]) -> None:
        bar = self.axes.figure.colorbar(drawn, ax=self.axes, fraction=0.03, pad=0.02)
        if said.get("tickvals") is not None:
            bar.set_ticks(
                said["tickvals"], labels=[strip_html(t) for t in said.get("ticktext") or []]
            )
        title = said.get("title") or {}
        bar.set_label(strip_html(title if isinstance(title, str) else title.get("text") or ""))
        bar.outline.set_visible(False)  # type: ignore[operator]

    def shape(self, shape: Mapping[str, Any]) -> None:
        """A straight line or a rectangle."""
        line = shape.get("line") or {}
        style: dict[str, Any] = {
            "color": rgba(line.get("color") or GREY),
            "lw": float(line.get("width", 2)) * POINT,
            "ls": DASHES.get(str(line.get("dash")), "-"),
        }
        ends = [[shape[f"{side}{k}"] for k in (0, 1)] for side in "xy"]
        whole = [
            "domain" in str(shape.get(f"{s}ref")) or shape.get(f"{s}ref") == "paper" for s in "xy"
        ]
        transform = {
            (True, False): self.axes.get_yaxis_transform(),
            (False, True): self.axes.get_xaxis_transform(),
            (True, True): self.axes.transAxes,
        }.get((whole[0], whole[1]), self.axes.transData)
        x, y = (
            numbers(end) if all_of_it else self.scales[side].places(end)
            for side, end, all_of_it in zip("xy", ends, whole, strict=True)
        )
        if shape.get("type") == "rect":
            corner_x, corner_y = [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]]
            face = rgba(shape.get("fillcolor") or "rgba(0,0,0,0)", shape.get("opacity"))
            self.axes.fill(corner_x, corner_y, color=face, lw=0, transform=transform, zorder=0)
        else:
            self.axes.plot(x, y, transform=transform, zorder=1, scalex=False, scaley=False, **style)

    def finish(self) -> None:
        """Ticks, titles and limits of both axes, and the legend."""
        for side in "xy":
            self.scales[side].finish(self.axes, side)
        hidden = [side for side in "xy" if self.axis[side].get("visible") is False]
        self.axes.spines[["top", "right"]].set_visible(False)
        if hidden:
            self.axes.axis("off")
        names = self.axes.get_legend_handles_labels()[1]
        if (self.layout.get("legend") or {}).get("orientation") == "h":
            return  # one above all panels: reporting/drawing/png.py
        if self.layout.get("showlegend", len(names) > 1) and names:
            self.axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _axis(layout: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return layout.get(f"{name[0]}axis{name[1:]}") or {}


def _edges(places: np.ndarray) -> np.ndarray:
    """Borders of cells around their centres."""
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middle = (places[:-1] + places[1:]) / 2
    return np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
