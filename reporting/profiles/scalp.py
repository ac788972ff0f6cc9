"""Maps of the scalp: how far every electrode lies above its surrogates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage

from evaluation.rows import SELECTED
from reporting.kinds import EXCESS, MAP
from reporting.profiles.axes import plain
from reporting.tables import layer_means
from reporting.trajectory.panels import INK, OKABE_ITO

MONTAGES = (
    "biosemi16", "biosemi32", "GSN-HydroCel-32", "mgh60", "easycap-M10", "easycap-M43",
    "biosemi64", "GSN-HydroCel-64_1.0", "GSN-HydroCel-65_1.0", "mgh70", "easycap-M1", "biosemi128",
    "GSN-HydroCel-128", "GSN-HydroCel-129", "brainproducts-RNP-BA-128", "biosemi160", "biosemi256",
    "GSN-HydroCel-256", "GSN-HydroCel-257", "colin27_1005",
)  # fmt: skip
"""Montages of mne from few places to many; the last is what used to be standard_1005."""
FEWEST_PLACES = 8
"""A map between fewer electrodes is invented more than measured."""
MOST_BARS = 20
DIVERGING = "RdBu_r"


def map_line(rows: pd.DataFrame) -> list[list[partial[None]]]:
    """One line with one panel of all maps; nothing without electrodes.

    One row an electrode: of layer "selected" where there is one, the mean over participants.
    """
    maps = rows[(rows["analysis"] == MAP) & (rows["kind"] == EXCESS)]
    own = maps[maps["layer"] == SELECTED]
    maps = layer_means(own if len(own) else maps, ["of", "target"])
    return [[partial(draw_maps, maps=maps)]] if len(maps) else []


def montage_of(channels: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """The smallest montage of mne that has a place for every channel.

    Names alone decide: ``A1`` … ``D32`` are BioSemi's, ``1`` … ``61`` easycap M10's. Upper and
    lower case are the same.

    Parameters
    ----------
    channels : sequence of str

    Returns
    -------
    (str, dict) or None
        Name of the montage, and its name for each channel; None where no montage has them all.
    """
    from mne.channels import make_standard_montage  # its import takes a second

    for name in MONTAGES:
        places = {place.lower(): place for place in make_standard_montage(name).ch_names}
        if all(channel.lower() in places for channel in channels):
            return name, {channel: places[channel.lower()] for channel in channels}
    return None


def draw_maps(place: SubFigure, maps: pd.DataFrame, columns: int) -> None:
    """A map for each metric with one scale for all; electrodes with p < .05 are marked.

    Where the places of the channels are unknown, or fewer than ``FEWEST_PLACES``, the largest
    channels as bars.

    Parameters
    ----------
    maps : DataFrame
        One row for each metric and electrode.
    columns : int
        Maps side by side.
    """
    metrics = list(dict.fromkeys(maps["of"]))
    limit = float(maps["value"].abs().max()) or 1.0
    lines = -(-len(metrics) // columns)
    parts = place.subplots(lines, columns, squeeze=False).flatten().tolist()
    images = []
    for part, metric in zip(parts, metrics, strict=False):
        rows = maps[maps["of"] == metric]
        montage = montage_of(rows["target"].tolist()) if len(rows) >= FEWEST_PLACES else None
        if montage:
            images.append((part, _draw_map(part, rows, *montage, limit)))
        else:
            _draw_bars(part, rows, limit)
        part.set_title(metric, fontsize=9.5, color=INK, parse_math=False)
    for part in parts[len(metrics) :]:
        part.set_axis_off()
    mark = "dots: p < .05" if (maps["p"] < 0.05).any() else "no p < .05"
    title = f"electrodes above surrogates ({mark})"
    place.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK)
    if images:
        shown = [part for part, _ in images]
        bar = place.colorbar(
            images[0][1], ax=shown, shrink=0.8 / lines, aspect=14, pad=0.02, anchor=(0.0, 1.0)
        )
        bar.outline.set_visible(False)  # type: ignore[operator]
        bar.set_label("similarity above surrogates", fontsize=8.5)
        bar.ax.tick_params(labelsize=8.5)


def _draw_map(
    place: Axes, rows: pd.DataFrame, montage: str, names: dict[str, str], limit: float
) -> AxesImage:
    import mne

    found = [names[channel] for channel in rows["target"]]
    info = mne.create_info(found, 100.0, "eeg")
    info.set_montage(mne.channels.make_standard_montage(montage))
    marked = (rows["p"] < 0.05).to_numpy()
    size = 5.0 if len(found) <= 70 else 3.5
    mark = {"markerfacecolor": "white", "markeredgecolor": INK, "markersize": size}
    image, _ = mne.viz.plot_topomap(
        rows["value"].to_numpy(),
        info,
        axes=place,
        show=False,
        cmap=DIVERGING,
        vlim=(-limit, limit),
        contours=4,
        mask=marked,
        mask_params=mark,
    )
    return image


def _draw_bars(place: Axes, rows: pd.DataFrame, limit: float) -> None:
    largest = rows.sort_values("value", ascending=False).head(MOST_BARS)
    y = np.arange(len(largest))
    place.barh(y, largest["value"], color=OKABE_ITO[0], height=0.7)
    found = (largest["p"] < 0.05).to_numpy()
    edge = largest["value"].clip(lower=0)[found] + 0.04 * limit
    place.scatter(edge, y[found], s=12, color=INK)
    place.set_yticks(y, largest["target"])
    place.invert_yaxis()
    place.set_xlabel("similarity above surrogates", fontsize=8.5)
    plain(place)
    place.tick_params(labelsize=7)
    if len(largest) < len(rows):
        text = f"{len(largest)} largest of {len(rows)}"
        place.text(0.98, 0.02, text, fontsize=8, ha="right", va="bottom").set(
            transform=place.transAxes
        )
