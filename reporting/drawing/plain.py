"""A plotly figure as plain numbers and texts: small, and the same to every reader."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reporting.trajectory.panels import INK

DIGITS = 5
"""Significant digits that are kept: more than a screen can show."""
LOOK: dict[str, Any] = {
    "template": "none",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
    "hoverlabel": {"bgcolor": "white"},
    "dragmode": False,
    "title": None,
    "width": None,
}
HEIGHT = 420
MARGIN = {"l": 60, "r": 16, "t": 30, "b": 56}


def plain_figure(figure: go.Figure) -> dict[str, Any]:
    """``data`` and ``layout`` of a figure in the look of the report, as lists and numbers."""
    content = plain(figure.to_plotly_json())
    layout = {key: value for key, value in content["layout"].items() if key != "template"}
    layout = {**layout, **{k: v for k, v in LOOK.items() if v is not None and k != "template"}}
    for name in ("title", "width"):
        layout.pop(name, None)
    layout.setdefault("height", HEIGHT)
    layout["margin"] = {**MARGIN, **layout.get("margin", {})}
    for name in [key for key in layout if key.startswith(("xaxis", "yaxis"))] or ["xaxis", "yaxis"]:
        layout[name] = {"automargin": True, "zeroline": False, **layout.get(name, {})}
    return {"data": content["data"], "layout": layout}


def plain(value: Any) -> Any:
    """Arrays, also those that plotly has packed, as lists; numbers rounded; NaN as None."""
    if isinstance(value, Mapping):
        if "bdata" in value:
            return plain(_unpack(value))
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return _round(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)  # a date, or a missing value of pandas


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _unpack(value: Mapping[str, Any]) -> np.ndarray:
    shape = str(value.get("shape", "-1")).split(",")
    flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
    return flat.reshape([int(size) for size in shape])
