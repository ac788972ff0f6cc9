"""Colours and marks of encoders, the same in every figure."""

from __future__ import annotations

from collections.abc import Iterable

from reporting.trajectory.panels import INK, OKABE_ITO

COLOURS = (*OKABE_ITO, INK)
FILLED = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "x")
SYMBOLS = (*FILLED, "circle-open", "square-open", "diamond-open", "triangle-up-open")


def colour_of(names: Iterable[str]) -> dict[str, str]:
    """A colour-blind safe colour for every name.

    Colours follow the order of the names and begin again after seven, which is why
    :func:`symbol_of` goes with them. Give all names of the comparison, always in the same order,
    and take those that a figure needs: then they have the same colours in every figure.
    """
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(dict.fromkeys(names))}


def symbol_of(names: Iterable[str]) -> dict[str, str]:
    """A marker for every name, as plotly calls it; with its colour it is one of 84 looks."""
    return {name: SYMBOLS[k % len(SYMBOLS)] for k, name in enumerate(dict.fromkeys(names))}
