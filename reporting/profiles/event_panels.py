"""Panels of prosody, of what prosody, brain and model share, and of where layers peak."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from evaluation.quantities import WORDS, Quantity
from evaluation.rows import SELECTED
from reporting.kinds import NULL, PEAK, PROSODY, SHARING, same_quantity
from reporting.profiles.axes import entitle, name_layers, stack_panels
from reporting.profiles.word_panels import draw_words
from reporting.tables import layer_means, p_text
from reporting.trajectory.panels import GREY, INK, OKABE_ITO, PALE

DIFFERENCE = "difference"
AROUSAL = ("aroused", "calm", "arousal_difference")
PEAK_DIFFERENCE = "peak_depth_difference"
BOUNDS = ["ci_low", "ci_high"]
MOST_A_LINE = 3


def event_lines(rows: pd.DataFrame) -> list[list[partial[None]]]:
    """Panels by line: words by similarity, then prosody, then peaks."""
    null, values = rows[rows["kind"] == NULL], rows[rows["kind"] == "score"]
    words = values[values["analysis"].isin(WORDS)]
    panels = [
        partial(draw_words, rows=own, null=null) for _, own in words.groupby("of", sort=False)
    ]
    lines = [panels[k : k + MOST_A_LINE] for k in range(0, len(panels), MOST_A_LINE)]
    prosody: list[partial[None]] = []
    if len(shared := values[values["analysis"] == SHARING]):
        prosody.append(partial(draw_shared, rows=shared, null=null))
    contrasts = rows[rows["analysis"] == PROSODY]
    aroused = contrasts["target"].isin(AROUSAL)
    for part, what in ((contrasts[~aroused], "prosody"), (contrasts[aroused], "arousal")):
        if len(part):
            own = part.assign(target=part["target"].replace(AROUSAL[2], DIFFERENCE))
            prosody.append(partial(draw_prosody, rows=own, what=what))
    depths = rows[rows["kind"] == PEAK]
    between = depths["of"] == PEAK_DIFFERENCE
    parts = [depths[~between], depths[between]]
    peaks = [partial(draw_depths, rows=part) for part in parts if len(part)]
    return [line for line in (*lines, prosody, peaks) if line]


def draw_shared(place: Axes, rows: pd.DataFrame, null: pd.DataFrame) -> None:
    """TNC and the mediation ratio by layer, one above the other, with interval and surrogates."""
    metrics = list(dict.fromkeys(rows["of"]))
    parts = stack_panels(place, len(metrics))
    for part, metric in zip(parts, metrics, strict=True):
        own = rows[rows["of"] == metric]
        _draw_layers(part, own, same_quantity(null, own))
        part.set_ylabel(metric.replace("_", " ").replace("tnc", "TNC"), fontsize=9)
        if part is not parts[-1]:
            part.tick_params(labelbottom=False)
    entitle(parts[0], "prosody, brain and model (dots: p < .05)")


def draw_excess(place: Axes, rows: pd.DataFrame) -> None:
    """Every layer above its surrogates, one metric above the other."""
    metrics = list(dict.fromkeys(rows["of"]))
    parts = stack_panels(place, len(metrics))
    for part, metric in zip(parts, metrics, strict=True):
        own = rows[rows["of"] == metric]
        _draw_layers(part, own, own[:0])
        part.set_ylabel(metric, fontsize=9)
        if part is not parts[-1]:
            part.tick_params(labelbottom=False)
    entitle(parts[0], "above surrogates in people (dots: p < .05)")


def _draw_layers(place: Axes, rows: pd.DataFrame, null: pd.DataFrame) -> None:
    """One metric by layer with its interval, the band of its surrogates and the own choice."""
    means = layer_means(rows, ["metric"]).set_index("layer")
    layers = [layer for layer in means.index if layer != SELECTED] or list(means.index)
    x, values = np.arange(len(layers)), means.loc[layers]
    wide = x if len(x) > 1 else np.array([-0.3, 0.3])
    if len(null):
        band = layer_means(null, ["metric"]).set_index("layer").reindex(layers)
        low, high = (np.broadcast_to(band[end], wide.shape) for end in BOUNDS)
        place.fill_between(wide, low, high, color=GREY, alpha=0.3, lw=0, label="95 % of surrogates")
    low, high = (np.broadcast_to(values[end], wide.shape) for end in BOUNDS)
    place.fill_between(wide, low, high, color=OKABE_ITO[0], alpha=0.25, lw=0)
    place.plot(x, values["value"], color=OKABE_ITO[0], lw=1.8, marker="o", markersize=3)
    found = (values["p"] < 0.05).to_numpy()
    place.scatter(x[found], values["value"][found], s=26, color=INK, zorder=3)
    if SELECTED in means.index and layers != [SELECTED]:
        own, label = float(means.loc[SELECTED, "value"]), "own choice of layer"
        place.axhline(own, color=OKABE_ITO[1], ls=":", lw=1.4, label=label)
    name_layers(place, layers)
    if place.get_legend_handles_labels()[0]:
        bottom, top = place.get_ylim()
        place.set_ylim(bottom, top + 0.25 * (top - bottom))
        place.legend(ncols=2, loc="upper left", fontsize=8, frameon=False, handlelength=1.6)


def draw_prosody(place: Axes, rows: pd.DataFrame, what: str = "prosody") -> None:
    """Bars of every similarity for sentences of each prosody, and p of their difference."""
    table = layer_means(rows, ["of", "target"])
    names = list(dict.fromkeys(table["of"]))
    targets = [name for name in dict.fromkeys(table["target"]) if name != DIFFERENCE]
    targets = targets or [DIFFERENCE]
    slot = 0.8 / len(targets)
    labels, tests = [], []
    for k, name in enumerate(names):
        layer, mine = _one_layer(table[table["of"] == name])
        labels.append(name if layer in ("", SELECTED) else f"{name}\n{layer}")
        for number, target in enumerate(targets):
            if target not in mine.index:
                continue
            row, x = mine.loc[target], k + (number - (len(targets) - 1) / 2) * slot
            colour = (OKABE_ITO[1], OKABE_ITO[0], *OKABE_ITO[2:])[number % len(OKABE_ITO)]
            label = target if k == 0 else None
            place.bar(x, row["value"], 0.9 * slot, color=colour, label=label)
            _interval(place, x, row)
        if DIFFERENCE in mine.index and pd.notna(mine.loc[DIFFERENCE, "p"]):
            tests.append(f"{name} {p_text(mine.loc[DIFFERENCE, 'p'])}")
    low, high = place.get_ylim()
    place.set_ylim(low, high + 0.18 * (high - low))
    place.legend(ncols=3, fontsize=8, frameon=False, loc="upper left", handlelength=1.2)
    place.set_ylabel("similarity above surrogates", fontsize=9)
    place.set_xticks(range(len(names)), labels)
    if len(names) > 3:
        place.set_xticks(range(len(names)), labels, rotation=30, ha="right")
    lines = [", ".join(tests[k : k + 2]) for k in range(0, len(tests), 2)]
    title = f"by {what}" + ("; p of the difference:" if tests else "")
    entitle(place, "\n".join([title, *lines]))


def _one_layer(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The own choice of layer, or the layer with the highest value, by target."""
    values = rows[rows["target"] != DIFFERENCE]
    best = (values if len(values) else rows)["value"].idxmax()
    layer = SELECTED if (rows["layer"] == SELECTED).any() else str(rows.loc[best, "layer"])
    return layer, rows[rows["layer"] == layer].set_index("target")


def _interval(place: Axes, x: float, row: pd.Series) -> None:
    if row[BOUNDS].notna().all():
        place.vlines(x, *row[BOUNDS], color=INK, lw=1.2)


def draw_depths(place: Axes, rows: pd.DataFrame) -> None:
    """Where metrics peak between the first layer and the last, or how far their peaks differ."""
    table = layer_means(rows, ["of", "analysis", "target"])
    differs = bool((table["of"] == PEAK_DIFFERENCE).all())
    y = np.arange(len(table))
    colour, marker = (OKABE_ITO[1], "D") if differs else (OKABE_ITO[0], "o")
    place.hlines(y, table["ci_low"], table["ci_high"], color=colour, lw=1.8)
    place.scatter(table["value"], y, s=30, color=colour, marker=marker, zorder=3)
    pairs = zip(table["of"], table["analysis"], strict=True)
    names = pd.Series([Quantity(*pair).name for pair in pairs], table.index, dtype="str")
    names = (table["target"] if differs else names + " " + table["target"]).str.strip()
    tests = [f"  p {_equals(p)}" if pd.notna(p) else "" for p in table["p"]]
    labels = [f"{name or DIFFERENCE}{test}" for name, test in zip(names, tests, strict=True)]
    place.set_yticks(y, labels)
    place.set_ylim(len(table) - 0.4, -0.6)
    low, high = place.get_xlim()
    place.set_xlim(min(low, -0.05), max(high, 0.05 if differs else 1.05))
    place.axvline(0, color=PALE, lw=0.8, zorder=0)
    place.set_xlabel(
        "difference of depths" if differs else "relative depth (0: first layer, 1: last)"
    )
    what = "difference of depths" if differs else "where layers peak"
    entitle(place, f"{what} (95 %)")


def _equals(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"
