"""Panels of scores by depth, by target and by person."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from alignment.inference import within_participant_sem
from evaluation.rows import SELECTED
from reporting.tables import layer_means
from reporting.trajectory.figures import COLOUR_MAP
from reporting.trajectory.panels import GREY, INK, OKABE_ITO


def layers_of(rows: pd.DataFrame) -> list[str]:
    return [layer for layer in rows["layer"].unique() if layer != SELECTED]


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a layer: all targets, all subjects, no window."""
    return layer_means(rows[rows["window"] == ""], ["metric"]).set_index("layer")


def people(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one participant, all targets, no window."""
    return rows[(rows["subject"] != "") & (rows["target"] == "") & (rows["window"] == "")]


def draw_depth(place: Axes, rows: pd.DataFrame) -> None:
    """The mean of every layer from shallow to deep, with interval, ceiling and the own choice."""
    means, layers = _whole(rows), layers_of(rows)
    values = means.loc[layers]
    x = np.arange(len(layers))
    _draw_errors(place, rows, layers, values["value"])
    if values[["ci_low", "ci_high"]].notna().all(axis=None):
        place.fill_between(x, values["ci_low"], values["ci_high"], color=INK, alpha=0.14, lw=0)
    place.plot(x, values["value"], color=INK, marker="o", markersize=4)
    ceiling = values["ceiling"].dropna()
    if len(ceiling):
        place.axhline(ceiling.iloc[0], color=GREY, ls="--", lw=1.2)
        by_subject = rows[(rows["subject"] != "") & (rows["layer"] == layers[0])]["ceiling"]
        if by_subject.notna().sum() > 1:
            spread = by_subject.std() / np.sqrt(by_subject.notna().sum())
            low, high = ceiling.iloc[0] - spread, ceiling.iloc[0] + spread
            place.axhspan(low, high, color=GREY, alpha=0.2, lw=0)
        place.text(0, ceiling.iloc[0], "ceiling", color=GREY, fontsize=8.5, va="bottom")
    if SELECTED in means.index:
        chosen = float(means.loc[SELECTED, "value"])
        place.axhline(chosen, color=OKABE_ITO[1], ls=":", lw=1.4)
        text = place.text(x[-1], 0.985 * chosen, "own choice of layer")
        text.set(color=OKABE_ITO[1], fontsize=8.5, ha="right", va="top")
    low, high = place.get_ylim()
    low = low if bool((values["value"] < 0).any()) else 0.0
    place.set_ylim(low, high + 0.05 * (high - low))
    place.set_xticks(x, [str(layer) for layer in layers], rotation=30, ha="right")
    place.set_title(f"{rows['metric'].iloc[0]} by layer", fontsize=10.5, loc="left", color=INK)


def _draw_errors(place: Axes, rows: pd.DataFrame, layers: list[str], means: pd.Series) -> None:
    """Standard errors within participants: the part of a layer's error that layers do not share."""
    table = (
        people(rows).pivot_table(index="layer", columns="subject", values="value").reindex(layers)
    )
    if table.shape[1] > 1 and len(table) > 1:
        error = within_participant_sem(torch.from_numpy(table.to_numpy(copy=True)))
        place.errorbar(np.arange(len(layers)), means, error, fmt="none", ecolor=INK, lw=1.4)


def draw_targets(place: Axes, rows: pd.DataFrame) -> None:
    """A bar for every target: the protocol's own layer, or the best one of each target."""
    plain = rows[rows["window"] == ""]
    named = plain[plain["target"] != ""]
    named = named if len(named) else plain.assign(target="all")
    own = named[named["layer"] == SELECTED]
    means = layer_means(own if len(own) else named, ["target"])
    order = list(dict.fromkeys(named["target"]))
    best = means.sort_values("value").groupby("target").last().loc[order]
    x = np.arange(len(order))
    place.bar(x, best["value"], color=OKABE_ITO[0], width=0.7)
    known = best[["ci_low", "ci_high"]].notna().all(axis=None)
    if known:
        error = [best["value"] - best["ci_low"], best["ci_high"] - best["value"]]
        place.errorbar(x, best["value"], error, fmt="none", ecolor=INK, lw=1.2)
    if best["ceiling"].notna().any():
        place.scatter(x, best["ceiling"], marker="_", s=160, color=GREY, zorder=3)
    place.set_xticks(
        x,
        order,
        rotation=30 if len(order) < 10 else 90,
        ha="right" if len(order) < 10 else "center",
    )
    what = "own choice of layer" if len(own) else "best layer of each"
    metric = rows["metric"].iloc[0]
    place.set_title(f"{metric} by target ({what})", fontsize=10.5, loc="left", color=INK)


def draw_histogram(place: Axes, rows: pd.DataFrame) -> None:
    """How often each value occurs among many targets, such as voxels."""
    values = rows.loc[rows["target"] != "", "value"]
    place.hist(values, bins=40, color=OKABE_ITO[0])
    place.axvline(values.median(), color=INK, lw=1.4)
    place.set_ylabel("targets")
    title = f"{rows['metric'].iloc[0]} of {len(values):,} targets, median {values.median():.2f}"
    place.set_title(title, fontsize=10.5, loc="left", color=INK)


def draw_latency(place: Axes, rows: pd.DataFrame) -> None:
    """Layer by time: a dot marks the best layer at every time."""
    timed = rows[rows["window"] != ""]
    table = timed.pivot_table(index="layer", columns="window", values="value", sort=False)
    table = table.loc[layers_of(timed)]
    image = place.imshow(table, cmap=COLOUR_MAP, origin="lower", aspect="auto")
    bar = place.figure.colorbar(image, ax=place, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    best = table.to_numpy().argmax(0)
    place.scatter(range(len(best)), best, s=20, facecolors="white", edgecolors=INK)
    few = range(0, table.shape[1], -(-table.shape[1] // 7))
    place.set_xticks(list(few), [str(table.columns[i]) for i in few])
    place.set_yticks(range(len(table)), [str(layer) for layer in table.index])
    metric = rows["metric"].iloc[0]
    delay = rows["analysis"].iloc[0] == "delay"
    place.set_xlabel("delay of the response (s)" if delay else "time from onset (s)")
    place.set_title(f"{metric} by layer\n(dots: the highest layer)", fontsize=10.5, loc="left")


def draw_subjects(place: Axes, rows: pd.DataFrame) -> None:
    """A dot for every participant at every layer, and their mean."""
    mine = people(rows)
    layers = list(mine["layer"].unique())
    names = list(dict.fromkeys(mine["subject"]))
    for number, subject in enumerate(names):
        one = mine[mine["subject"] == subject].set_index("layer")["value"].reindex(layers)
        shift = 0.3 * (number / max(len(names) - 1, 1) - 0.5)
        x = np.arange(len(layers)) + shift
        place.scatter(x, one, s=16, color=OKABE_ITO[number % len(OKABE_ITO)], alpha=0.8, lw=0)
    means = mine.groupby("layer", sort=False)["value"].mean().reindex(layers)
    place.scatter(range(len(layers)), means, marker="_", s=200, color=INK)
    place.set_xticks(range(len(layers)), [str(layer) for layer in layers], rotation=30, ha="right")
    metric = rows["metric"].iloc[0]
    title = f"{metric} of {len(names)} participants"
    place.set_title(title, fontsize=10.5, loc="left", color=INK)
