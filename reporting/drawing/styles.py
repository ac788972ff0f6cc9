"""Colours, marks and words of plotly as matplotlib has them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from plotly.colors import get_colorscale

POINT = 0.75
"""Points to a pixel of plotly, at 96 pixels an inch; drawn at 100."""
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "cross": "P", "x": "X", "star": "*"}
MARKERS |= {"triangle-up": "^", "triangle-down": "v", "triangle-left": "<", "triangle-right": ">"}
MARKERS |= {"pentagon": "p", "hexagon": "h", "line-ns": "|", "line-ew": "_"}
SMALL = {"*": 1.5, "P": 1.2, "X": 1.2}
"""Marks of matplotlib that look smaller than those of plotly, and by what they grow."""
DASHES = {"dash": (0, (5, 3)), "dot": (0, (1, 2)), "dashdot": "-.", "longdash": (0, (8, 3))}


def strip_html(text: object) -> str:
    """Text without marks of HTML."""
    lines = re.sub(r"<br\s*/?>", "\n", str(text))
    return html.unescape(re.sub(r"</?(?:b|i|em|sub|sup|span|a)\b[^>]*>", "", lines))


def numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if v is None else float(v) for v in values], dtype=float)


def first_of(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


def repeat_to(value: Any, n: int) -> list[Any]:
    return list(value) if isinstance(value, list) else [value] * n


def rgba(colour: Any, alpha: float | None = None) -> tuple[float, float, float, float]:
    """A colour of plotly, ``rgba(…)`` too, as matplotlib has it."""
    if isinstance(colour, tuple):
        return to_rgba(colour, alpha)
    found = re.fullmatch(r"rgba?\(([^)]*)\)", str(colour).strip())
    if found:
        parts = [float(part) for part in found.group(1).split(",")]
        return (parts[0] / 255, parts[1] / 255, parts[2] / 255, parts[3] if len(parts) > 3 else 1)
    return to_rgba(str(colour), alpha)


def point_colours(marker: Mapping[str, Any], n: int, default: Any) -> list[Any]:
    """A colour for every point: one for all, one each, or numbers on a scale."""
    said = marker.get("color")
    if isinstance(said, list) and said and not any(isinstance(value, str) for value in said):
        values = numbers(said)
        low, high = marker.get("cmin", np.nanmin(values)), marker.get("cmax", np.nanmax(values))
        shares = (values - low) / ((high - low) or 1)
        return [tuple(colour) for colour in colormap(marker)(np.nan_to_num(shares))]
    return [default if colour is None else rgba(colour) for colour in repeat_to(said, n)]


def marker_style(marker: Mapping[str, Any]) -> dict[str, Any]:
    """The mark of a line in a legend, that of its first point."""
    name = str(first_of(marker.get("symbol")) or "circle")
    shape = MARKERS.get(name.removesuffix("-dot").removesuffix("-open"), "o")
    return {"marker": shape, "ms": 5, **({"mfc": "none"} if "-open" in name else {})}


def colormap(trace: Mapping[str, Any]) -> LinearSegmentedColormap:
    said = trace.get("colorscale") or "Cividis"
    stops = get_colorscale(said) if isinstance(said, str) else said
    if isinstance(stops[0], str):
        stops = [[k / (len(stops) - 1), colour] for k, colour in enumerate(stops)]
    places = [(float(place), rgba(colour)) for place, colour in stops]
    made = LinearSegmentedColormap.from_list("scale", places)
    return made.reversed() if trace.get("reversescale") else made
