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
    table = np.zeros((len(metrics), len(layers)))
    for i, metric in enumerate(metrics):
        for j, layer in enumerate(layers):
            row, base = means.loc[(metric, layer)], level.loc[(metric, layer)]
            spread = (base["ci_high"] - base["ci_low"]) / 3.92
            table[i, j] = (row["value"] - base["value"]) / spread if spread > 0 else 0.0
            star = " •" if row["p"] < 0.05 else ""
            if len(layers) <= 14:
                text = place.text(j, i, f"{row['value']:.2f}{star}", fontsize=8)
                text.set(ha="center", va="center", color="white")
    top = max(3.0, float(table.max()))
    image = place.imshow(table, cmap=COLOUR_MAP, aspect="auto", vmin=0, vmax=top)
    for text in place.texts:
        column, line = text.get_position()
        if table[int(line), int(column)] > 0.5 * top:
            text.set_color(INK)
    bar = place.figure.colorbar(image, ax=place, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("above surrogates (SD)", fontsize=8.5)
    bounds = ceilings.pivot_table(index="of", columns="target", values="value")
    place.set_yticks(range(len(metrics)), [_with_ceiling(metric, bounds) for metric in metrics])
    place.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    place.set_title("metrics by layer (value; • p < .05)", fontsize=10.5, loc="left", color=INK)


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
