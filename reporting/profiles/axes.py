"""How axes of a benchmark's figure look, and how one place is divided."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from reporting.trajectory.panels import INK, PALE

MOST_LABELS = 14


def stack_panels(place: Axes, count: int) -> list[Axes]:
    """Axes one above the other where ``place`` was."""
    spec, figure = place.get_subplotspec(), place.figure
    if spec is None or figure is None:
        raise ValueError("axes outside of a grid cannot be divided: add them by add_subplot")
    place.remove()
    grid = spec.subgridspec(count, 1)
    return [figure.add_subplot(grid[row, 0]) for row in range(count)]


def entitle(place: Axes, text: str) -> None:
    """A title at the left."""
    place.set_title(text, fontsize=10.5, loc="left", color=INK, parse_math=False)


def name_layers(place: Axes, layers: Sequence[object]) -> None:
    """Names of layers under a place where layer k stands at k; of many, evenly picked."""
    few = range(0, len(layers), -(-len(layers) // MOST_LABELS) or 1)
    place.set_xticks(list(few), [str(layers[k]) for k in few], rotation=30, ha="right")


def plain(place: Axes) -> None:
    """Without frame, with a line at 0 where values lie on both sides of it."""
    low, high = place.get_ylim()
    if low < 0 < high and not place.images:
        place.axhline(0, color=PALE, lw=0.8, zorder=0)
    place.tick_params(labelsize=8.5, color=PALE)
    place.spines[["top", "right"]].set_visible(False)
