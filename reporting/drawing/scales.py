"""An axis of plotly as matplotlib draws it: numbers, logarithms or names, ticks and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from reporting.drawing.styles import strip_html
from reporting.trajectory.panels import GREY, INK, PALE

MOST_NAMES = {"x": 50, "y": 130}
"""Names that an axis has room for; of more, every second or third is written."""
MOST_TICKS = 6


class Scale:
    """Where values lie on an axis; names get places in the order in which they come.

    Parameters
    ----------
    axis : mapping
        ``layout.xaxis`` or ``layout.yaxis`` of a figure.
    """

    def __init__(self, axis: Mapping[str, Any]) -> None:
        self.axis = axis
        self.names: dict[object, int] = {}
        self.named = axis.get("type") in ("category", "multicategory")
        for name in axis.get("categoryarray") or []:
            self.names.setdefault(name, len(self.names))

    def places(self, values: Sequence[Any]) -> np.ndarray:
        """Numbers as they are, NaN where there is none; names by their place."""
        if not self.named and any(isinstance(value, str) for value in values):
            self.named = True
        if not self.named:
            return np.array([np.nan if v is None else float(v) for v in values], dtype=float)
        # A number on an axis of names is a place, as of a line that is drawn across.
        return np.array(
            [
                v if isinstance(v, float) else self.names.setdefault(v, len(self.names))
                for v in values
            ],
            dtype=float,
        )

    def finish(self, axes: Axes, side: str) -> None:
        """Ticks, title, limits and direction."""
        which = axes.xaxis if side == "x" else axes.yaxis
        log = self.axis.get("type") == "log"
        if log:
            (axes.set_xscale if side == "x" else axes.set_yscale)("log")
            which.set_minor_locator(NullLocator())
        self._ticks(axes, side)
        title = self.axis.get("title") or {}
        text = title if isinstance(title, str) else title.get("text") or ""
        size = float((self.axis.get("tickfont") or {}).get("size") or 13) * 0.75
        which.set_label_text(strip_html(text), fontsize=size + 0.75, color=INK)
        axes.tick_params(axis=side, labelsize=size, color=PALE)  # type: ignore[arg-type]
        if self.axis.get("side") == "top":
            axes.xaxis.tick_top()
            axes.xaxis.set_label_position("top")
        if self.axis.get("showticklabels") is False:
            axes.tick_params(axis=side, labelbottom=False, labelleft=False)  # type: ignore[arg-type]
        if self.axis.get("showline") is False:
            axes.spines[["bottom" if side == "x" else "left"]].set_visible(False)
        if self.axis.get("zeroline"):
            (axes.axvline if side == "x" else axes.axhline)(0, color=GREY, lw=0.8, zorder=0)
        self._limits(axes, side, log)

    def _ticks(self, axes: Axes, side: str) -> None:
        values, texts = self.axis.get("tickvals"), self.axis.get("ticktext")
        if values is not None:
            labels = [strip_html(text) for text in (values if texts is None else texts)]
            places = self.places(values)
        elif self.named:
            names = list(self.names)
            few = range(0, len(names), -(-len(names) // MOST_NAMES[side]) or 1)
            places, labels = np.array(few), [strip_html(names[k]) for k in few]
        else:
            if self.axis.get("type") != "log":
                which = axes.xaxis if side == "x" else axes.yaxis
                which.set_major_locator(MaxNLocator(int(self.axis.get("nticks") or MOST_TICKS)))
            return
        angle = -float(self.axis.get("tickangle") or 0)
        if side == "y":
            axes.set_yticks(places, labels)
            return
        if not angle and len(labels) > 4 and max(map(len, labels)) > 60 / len(labels):
            angle = 40
        turned = 0 < abs(angle) < 90
        side_of_text = "left" if self.axis.get("side") == "top" else "right"
        how: dict[str, Any] = {"ha": side_of_text, "rotation_mode": "anchor"} if turned else {}
        axes.set_xticks(places, labels, rotation=angle, **how)

    def _limits(self, axes: Axes, side: str, log: bool) -> None:
        low, high = axes.get_xlim() if side == "x" else axes.get_ylim()
        if self.named and self.names:
            low, high = -0.5, len(self.names) - 0.5
        given = self.axis.get("range")
        if given is not None and None not in given:
            low, high = (10.0 ** float(v) if log else float(v) for v in given)
        elif "reversed" in str(self.axis.get("autorange")):
            low, high = max(low, high), min(low, high)
        elif self.axis.get("rangemode") == "tozero" and not log:
            low = min(low, 0.0)
        (axes.set_xlim if side == "x" else axes.set_ylim)(low, high)
