"""Panels of alignment in time: metrics by layer above their surrogates, curves with a null band."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from evaluation.rows import SELECTED
from reporting.tables import layer_means
from reporting.trajectory.figures import COLOUR_MAP
from reporting.trajectory.panels import GREY, INK, OKABE_ITO


def above_band(rows: pd.DataFrame, null: pd.DataFrame) -> pd.DataFrame:
    """Rows in time of one metric, values less the mean of the surrogates of the same layer."""
    key = ["layer", "window"]
    level = null.set_index(key)["value"]
    place = pd.MultiIndex.from_frame(rows[key])
    return rows.assign(value=rows["value"].to_numpy() - level.reindex(place).to_numpy())


def draw_metrics(
    place: Axes, rows: pd.DataFrame, null: pd.DataFrame, ceilings: pd.DataFrame
) -> None:
    """Metric by layer, without delay: how far above its surrogates, in their standard deviations.

    Numbers are the raw values; a dot marks p < .05. Below its name, the range of the noise
    ceiling of a metric.
    """
    means = layer_means(rows[rows["layer"] != SELECTED], ["of"]).set_index(["of", "layer"])
    level = layer_means(null, ["of"]).set_index(["of", "layer"])
    metrics = list(dict.fromkeys(rows["of"]))
    layers = list(dict.fromkeys(name for _, name in means.index))
    means = means.assign(above=_above(means, level))
    _draw_table(place, means, metrics, layers)
    bounds = ceilings.pivot_table(index="of", columns="target", values="value")
    place.set_yticks(range(len(metrics)), [_with_ceiling(metric, bounds) for metric in metrics])
    place.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    place.set_title("metrics by layer (value; • p < .05)", fontsize=10.5, loc="left", color=INK)


def draw_named(place: Axes, rows: pd.DataFrame, null: pd.DataFrame) -> None:
    """Metric by named window of the sentence: how far above its surrogates, in their deviations.

    Of each metric, the layer that lies highest above them in some window.
    """
    key = ["of", "layer", "window"]
    means = layer_means(rows[(rows["layer"] != SELECTED) & (rows["window"] != "")], key[::2])
    means = means.set_index(key)
    level = layer_means(null[null["window"] != ""], key[::2]).set_index(key)
    means = means.assign(above=_above(means, level)).reset_index()
    best = means.loc[means.groupby("of", sort=False)["above"].idxmax()].set_index("of")["layer"]
    shown = means[means["layer"] == means["of"].map(best)].set_index(["of", "window"])
    windows = list(dict.fromkeys(rows.loc[rows["window"] != "", "window"]))
    metrics = list(best.index)
    _draw_table(place, shown, metrics, windows)
    labels = [f"{metric}\n{best[metric]}" for metric in metrics]
    place.set_yticks(range(len(metrics)), labels)
    place.set_xticks(range(len(windows)), windows)
    title = "windows of the sentence (value; • p < .05)"
    place.set_title(title, fontsize=10.5, loc="left", color=INK)


def _above(means: pd.DataFrame, level: pd.DataFrame) -> pd.Series:
    """How far values lie above the surrogates of the same place, in standard deviations."""
    base = level.reindex(means.index)
    spread = (base["ci_high"] - base["ci_low"]) / 3.92
    return ((means["value"] - base["value"]) / spread).where(spread > 0, 0.0)


def _draw_table(place: Axes, means: pd.DataFrame, lines: list[str], columns: list[str]) -> None:
    """``above`` as colour and values as numbers; empty where a line lacks a column."""
    table = np.full((len(lines), len(columns)), np.nan)
    for i, line in enumerate(lines):
        for j, column in enumerate(columns):
            if (line, column) not in means.index:
                continue
            row = means.loc[(line, column)]
            table[i, j] = row["above"]
            star = " •" if row["p"] < 0.05 else ""
            if len(columns) <= 14:
                value = round(row["value"], 2) + 0.0  # no minus before 0.00
                text = place.text(j, i, f"{value:.2f}{star}", fontsize=8)
                text.set(ha="center", va="center", color="white")
    top = max(3.0, float(np.nanmax(table)))
    image = place.imshow(table, cmap=COLOUR_MAP, aspect="auto", vmin=0, vmax=top)
    for text in place.texts:
        x, y = text.get_position()
        if table[int(y), int(x)] > 0.5 * top:
            text.set_color(INK)
    bar = place.figure.colorbar(image, ax=place, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("above surrogates (SD)", fontsize=8.5)


def _with_ceiling(metric: str, bounds: pd.DataFrame) -> str:
    if metric not in bounds.index:
        return metric
    low, high = bounds.loc[metric, ["lower", "upper"]]
    return f"{metric}\nceiling {low:.2f} to {high:.2f}"


def draw_curve(place: Axes, rows: pd.DataFrame, null: pd.DataFrame) -> None:
    """The layer that peaks highest above its surrogates over lags or windows, and their band."""
    timed = rows[rows["window"] != ""]
    excess = above_band(timed, null)
    layer = excess.loc[excess["value"].idxmax(), "layer"]
    curve = timed[timed["layer"] == layer]
    band = null[null["layer"] == layer].set_index("window").loc[curve["window"]]
    x = curve["window"].astype(float)
    place.fill_between(x, band["ci_low"], band["ci_high"], color=GREY, alpha=0.3, lw=0)
    place.plot(x, band["value"], color=GREY, lw=1)
    place.plot(x, curve["value"], color=OKABE_ITO[0], lw=1.8)
    found = curve["p"] < 0.05
    place.scatter(x[found], curve["value"][found], s=22, color=OKABE_ITO[0], zorder=3)
    delay = rows["analysis"].iloc[0] == "delay"
    if x.min() < 0:
        place.axvline(0, color=GREY, lw=0.8, ls=":")
    place.set_xlabel("delay of the response (s)" if delay else "time from onset (s)")
    place.text(0.98, 0.95, "grey: 95 % of surrogates", fontsize=8.5, color=GREY).set(
        ha="right", va="top", transform=place.transAxes
    )
    place.set_title(f"{rows['metric'].iloc[0]}: {layer}", fontsize=10.5, loc="left", color=INK)
