"""A PNG of a plotly figure, drawn by matplotlib: needs no browser.

What the sections draw with is understood: lines, points, words, areas and error bars, bars, maps,
straight lines and rectangles, and notes, in any grid of panels. Any other kind of trace is
an error, so that no figure is drawn in part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from reporting.drawing.panel import MatplotlibPanel
from reporting.drawing.styles import POINT, rgba, strip_html
from reporting.trajectory.panels import INK

WIDTH, DPI = 900, 100
LETTERS_ACROSS = 120
"""Letters of a legend beside each other."""
TITLES = 0.5
"""Inches above the highest panels that their titles take."""
ANCHORS = {"left": "left", "right": "right", "center": "center", "auto": "center"}


def write_png(content: Mapping[str, Any], path: Path) -> None:
    """Draw ``data`` and ``layout`` of :func:`reporting.drawing.plain.plain_figure`.

    Raises
    ------
    ValueError
        If a trace is of a kind that is not drawn here.
    """
    layout = content["layout"]
    height = float(layout.get("height") or 420)
    figure = Figure((WIDTH / DPI, height / DPI), dpi=DPI)
    places: dict[tuple[str, str], MatplotlibPanel] = {}
    for trace in content["data"]:
        if trace.get("visible", True) is not True:
            continue
        key = (trace.get("xaxis") or "x", trace.get("yaxis") or "y")
        if key not in places:
            places[key] = MatplotlibPanel(figure, layout, *key)
        places[key].draw(trace)
    for place in places.values():
        place.finish()
    for shape in layout.get("shapes") or []:
        _where(places, shape).shape(shape) if places else None
    for note in layout.get("annotations") or []:
        _annotate(figure, places, note, layout)
    wanted = layout.get("showlegend") or (layout.get("meta") or {}).get("key")
    if wanted and (layout.get("legend") or {}).get("orientation") == "h":
        _legend(figure, places.values())
    # Asked for "tight", savefig would draw everything once more.
    box = figure.get_tightbbox().padded(0.12)
    figure.savefig(path, format="png", bbox_inches=box, facecolor="white")


def _legend(figure: Figure, places: Iterable[MatplotlibPanel]) -> None:
    """One legend above all panels and their titles."""
    found: dict[str, Any] = {}
    for place in places:
        handles, names = place.axes.get_legend_handles_labels()
        found = {**dict(zip(names, handles, strict=True)), **found}
    if not found:
        return
    longest = max(map(len, found))
    columns = max(1, min(len(found), LETTERS_ACROSS // (longest + 8)))
    inches = figure.get_size_inches()[1]
    figure.legend(
        list(found.values()),
        list(found),
        loc="lower left",
        bbox_to_anchor=(0.0, 1 + TITLES / inches),
        ncol=columns,
        fontsize=9,
        frameon=False,
        borderaxespad=0.0,
    )


def _where(
    places: Mapping[tuple[str, str], MatplotlibPanel], item: Mapping[str, Any]
) -> MatplotlibPanel:
    wanted = [str(item.get(key, "")).removesuffix(" domain") for key in ("xref", "yref")]
    for key, place in places.items():
        if wanted[0] in (key[0], "paper", "") and wanted[1] in (key[1], "paper", ""):
            return place
    return next(iter(places.values()))


def _annotate(
    figure: Figure,
    places: Mapping[tuple[str, str], MatplotlibPanel],
    note: Mapping[str, Any],
    layout: Mapping[str, Any],
) -> None:
    font = {**(layout.get("font") or {}), **(note.get("font") or {})}
    look: dict[str, Any] = {
        "ha": ANCHORS[str(note.get("xanchor") or "center")],
        "va": {"top": "top", "bottom": "bottom"}.get(str(note.get("yanchor")), "center"),
        "fontsize": float(font.get("size") or 12) * POINT,
        "color": rgba(font.get("color") or INK),
        "rotation": -float(note.get("textangle") or 0),
        "parse_math": False,
    }
    x, y, text = note.get("x", 0.5), note.get("y", 0.5), strip_html(note.get("text") or "")
    if "paper" in (note.get("xref"), note.get("yref")) or not places:
        figure.text(float(x), float(y), text, **look)
        return
    place = _where(places, note)
    whole = ["domain" in str(note.get(f"{side}ref")) for side in "xy"]
    x, y = (
        float(value) if all_of_it else float(place.scales[side].places([value])[0])
        for side, value, all_of_it in zip("xy", (x, y), whole, strict=True)
    )
    transform = {
        (True, False): place.axes.get_yaxis_transform(),
        (False, True): place.axes.get_xaxis_transform(),
        (True, True): place.axes.transAxes,
    }.get((whole[0], whole[1]), place.axes.transData)
    place.axes.text(x, y, text, transform=transform, clip_on=False, **look)
