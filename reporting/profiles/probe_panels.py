"""Panels of a downstream task: what every probe makes of every layer, above chance."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reporting.kinds import PROBES
from reporting.profiles.axes import entitle, name_layers
from reporting.trajectory.panels import GREY, OKABE_ITO

MIX = "mix"
"""Layer of what was learned from all layers together: a line across them."""


def probe_lines(rows: pd.DataFrame) -> list[list[partial[None]]]:
    """A panel for each measure of a task of labelled clips, side by side; none of another one.

    Parameters
    ----------
    rows : DataFrame
        Of one benchmark, encoder and step.
    """
    rows = rows[(rows["kind"] == "score") & rows["chance"].notna()]
    rows = rows[rows["benchmark"].str.startswith(PROBES)]
    if rows.empty:
        return []
    panels = [partial(draw_probes, rows=own) for _, own in rows.groupby("of", sort=False)]
    return [panels]


def draw_probes(place: Axes, rows: pd.DataFrame) -> None:
    """One measure: a line over layers for each probe, with its 95 % interval, and chance."""
    layers = [layer for layer in rows["layer"].unique() if layer != MIX]
    colours = [colour for colour in OKABE_ITO if colour != GREY]
    for number, (probe, own) in enumerate(rows.groupby("analysis", sort=False)):
        colour, name = colours[number % len(colours)], str(probe).replace("_", " ")
        values = own.set_index("layer")
        if MIX in values.index:
            mixed = float(values.loc[MIX, "value"])
            place.axhline(mixed, color=colour, ls="--", lw=1.3, label=f"{name}, all layers")
        seen = [layer for layer in layers if layer in values.index]
        if not seen:
            continue
        x, values = np.array([layers.index(layer) for layer in seen]), values.loc[seen]
        place.fill_between(x, values["ci_low"], values["ci_high"], color=colour, alpha=0.1, lw=0)
        place.plot(x, values["value"], color=colour, marker="o", markersize=4, label=name)
    chance = float(rows["chance"].iloc[0])
    place.axhline(chance, color=GREY, ls=":", lw=1.2, label="chance")
    lowest = min(0.0, float(rows["value"].min()))
    place.set_ylim(lowest, max(1.0, 1.05 * float(rows["value"].max())))
    name_layers(place, layers)
    place.legend(fontsize=8, framealpha=0.85, edgecolor="white", ncols=2, loc="best")
    entitle(place, f"{rows['of'].iloc[0]} by layer")
