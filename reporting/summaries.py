"""What is kept of a whole trajectory: its best and its last value, and the area under it.

The best is the extreme over all steps. It grows with their number where none is better, so that its
name says that it is optimistic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from evaluation.metrics import LOWER_IS_BETTER

SUMMARY = ("best_optimistic", "final", "area")


def best_index(values: ArrayLike, lower: bool) -> int:
    """Where the best value is, of equals the first."""
    found = np.asarray(values, dtype=float)
    return int(np.argmin(found) if lower else np.argmax(found))


def area(steps: ArrayLike, values: ArrayLike) -> float:
    """Area under a trajectory over the steps it spans: a mean, in the unit of the values.

    ``area = Σ_i (s_{i+1} - s_i) (v_i + v_{i+1}) / 2 / (s_n - s_1)``, the trapezoidal rule.

    Parameters
    ----------
    steps, values : array of shape (n,)
        Steps ascending; NaN where an encoder has none.

    Returns
    -------
    float
        NaN with fewer than two different steps.
    """
    x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if np.isnan(x).any() or len(np.unique(x)) < 2:
        return math.nan
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def lower_is_better(key: str) -> bool:
    """Whether the lowest is the best of what a logger is given under ``…/METRIC[/TARGET]``."""
    return not LOWER_IS_BETTER.isdisjoint(key.split("/"))


def key_summaries(keys: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """``KEY/best_optimistic``, ``KEY/final`` and, of two steps or more, ``KEY/area`` of every key.

    Parameters
    ----------
    keys : mapping from step to what a logger was given at it
        A key may be missing at some steps.
    """
    trajectories: dict[str, list[tuple[int, float]]] = {}
    for step in sorted(keys):
        for key, value in keys[step].items():
            trajectories.setdefault(key, []).append((step, value))
    found = {}
    for key, points in trajectories.items():
        steps, values = zip(*points, strict=True)
        found[f"{key}/best_optimistic"] = values[best_index(values, lower_is_better(key))]
        found[f"{key}/final"] = values[-1]
        if not math.isnan(mean := area(steps, values)):
            found[f"{key}/area"] = mean
    return found
