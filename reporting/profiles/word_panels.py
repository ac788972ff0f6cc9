"""Panels of words: bars by component of the response and class of words, and their surrogates."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import Container

from evaluation.rows import SELECTED
from reporting.kinds import named_windows
from reporting.profiles.axes import entitle
from reporting.tables import layer_means, p_text
from reporting.trajectory.panels import GREY, INK, OKABE_ITO

COMPONENTS = ("N1", "P2", "N200", "P300", "N400", "P600")
CLASSES = (("content", "content"), ("function", "function"), ("word", "all words"))


def draw_words(place: Axes, rows: pd.DataFrame, null: pd.DataFrame) -> None:
    """Bars by component and class of words: the layer with the highest of them, and surrogates.

    Rows without a window, the own choice of layer and component, say p in the title.

    Parameters
    ----------
    rows, null : DataFrame
        Of one similarity, by words; rows of surrogates of the benchmark.
    """
    name = str(rows["of"].iloc[0])
    null = null[null["of"] == name]
    tests, rows = _own_tests(rows[rows["window"] == ""]), rows[rows["window"] != ""]
    layer, shown, own, band = _of_best_layer(rows, null)
    windows = sorted(dict.fromkeys(rows["window"]), key=_order)
    classes = [pair for pair in CLASSES if pair[0] in set(rows["analysis"])]
    slot = 0.84 / len(classes)
    found: list[tuple[float, float]] = []
    for number, (part, label) in enumerate(classes):
        keys = [(part, window) for window in windows]
        x = np.arange(len(windows)) + (number - (len(classes) - 1) / 2) * slot
        bars, chosen = shown.reindex(keys), own["value"].reindex(keys)
        null_of = band.reindex(keys)
        low, high = null_of["ci_low"].to_numpy(), null_of["ci_high"].to_numpy()
        place.bar(x, high - low, 0.94 * slot, low, color=GREY, alpha=0.35, lw=0)
        colour = OKABE_ITO[CLASSES.index((part, label))]
        place.bar(x, bars["value"], 0.6 * slot, color=colour, label=label)
        place.scatter(x, chosen, marker="D", s=14, color="white", ec=INK, lw=0.9, zorder=4)
        tops = np.fmax.reduce([bars["value"], high, chosen, np.zeros(len(x))])
        marked = (bars["p"] < 0.05).to_numpy()
        found += zip(x[marked], tops[marked], strict=True)
    low, high = place.get_ylim()
    for where, top in found:
        place.scatter(where, top + 0.04 * (high - low), s=16, color=INK, zorder=4)
    _word_legend(place, bool(len(own)), bool(len(band)))
    below = 0.04 * (high - low) if low < 0 else 0.0
    place.set_ylim(low - below, high + 0.32 * (high - low))
    place.set_xticks(range(len(windows)), windows)
    entitle(place, "\n".join([f"{name} after words: {layer} (dots: p < .05)", *tests]))


def _own_tests(rows: pd.DataFrame) -> list[str]:
    """One line with p of every class of words that has one."""
    p = layer_means(rows, ["analysis"]).set_index("analysis")["p"].dropna()
    found = [
        f"{label.removesuffix(' words')} {p_text(p[part])}"
        for part, label in CLASSES
        if part in p.index
    ]
    return ["p held out: " + ", ".join(found)] if found else []


def _of_best_layer(
    rows: pd.DataFrame, null: pd.DataFrame
) -> tuple[str, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The layer with the highest value, its rows, those of the own choice, and its surrogates."""
    key = ["analysis", "window"]
    means = layer_means(rows, key)
    chosen = means["layer"] == SELECTED
    layers = means if chosen.all() else means[~chosen]
    layer = str(layers.loc[layers["value"].idxmax(), "layer"])
    own = means[chosen] if layer != SELECTED else means[:0]
    bands = layer_means(null[(null["layer"] == layer) & named_windows(null)], key)
    found = (layers[layers["layer"] == layer], own, bands)
    shown, own, band = (table.set_index(key).sort_index() for table in found)
    return layer, shown, own, band


def _order(window: str) -> int:
    return COMPONENTS.index(window) if window in COMPONENTS else len(COMPONENTS)


def _word_legend(place: Axes, own: bool, band: bool) -> None:
    """Classes in the upper line, what else is drawn in the lower."""
    others: list[Artist | Container] = []
    if own:
        label = "own choice of layer"
        others.append(place.scatter([], [], marker="D", s=14, color="white", ec=INK, label=label))
    if band:
        label = "95 % of surrogates"
        others.append(place.bar(0, 0, color=GREY, alpha=0.35, lw=0, label=label))
    classes = [bars for bars in place.containers if bars not in others and _name_component(bars)]
    handles = [h for pair in zip_longest(classes, others) for h in pair if h is not None]
    look = {"fontsize": 8, "frameon": False, "handlelength": 1.2, "columnspacing": 1.2}
    place.legend(handles=handles, ncols=3, loc="upper left", **look)


def _name_component(bars: Container) -> bool:
    return not str(bars.get_label()).startswith("_")
