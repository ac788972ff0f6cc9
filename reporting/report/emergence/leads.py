"""Which of two scores rises first over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from reporting.report.emergence.curves import (
    FEWEST,
    OTHER_NAME,
    PRIMARY_NAME,
    REGION,
    SCORE,
    TASK,
    Curve,
)
from reporting.statistics.estimates import Estimate, adjusted_level, mean_estimate, within
from reporting.statistics.shifts import OVERLAP, best_shift
from reporting.statistics.timing import emergence, lead


@dataclass(frozen=True)
class Lead:
    """How much earlier one score rises than another, over runs or encoders.

    Attributes
    ----------
    unit : str
        ``runs`` of one encoder, which differ in their seed; or ``encoders``, each of which is the
        mean over its runs, since runs of one encoder are alike.
    doublings : Estimate
        ``log2`` of the second time to half by the first: positive where the first leads.
    shift : Estimate
        The shift at which the second curve fits the first best, in shares of the run: positive
        where the second is late.
    """

    first: str
    second: str
    doublings: Estimate
    shift: Estimate
    unit: str = "runs"


def leads(
    found: Sequence[Curve], first: str = SCORE, second: str = TASK, seed: int = 0
) -> list[Lead]:
    """Every curve of the one kind with every curve of the other, over all runs that have both.

    Regions are paired within their score: primary first, non-primary second. No interval of
    fewer than three runs or encoders; intervals are of 95 % for all pairs together. A run in
    which either is flat does not count.
    """
    by_run: dict[str, list[Curve]] = {}
    for curve in found:
        by_run.setdefault(curve.run, []).append(curve)
    pairs: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for made in by_run.values():
        halves: dict[tuple[str, str, bytes], float] = {}
        for a in (c for c in made if c.kind == first and c.part != OTHER_NAME):
            for b in (c for c in made if c.kind == second and c.part != PRIMARY_NAME):
                if second != REGION or a.score == b.score:
                    values = _lead(a, b, halves, seed)
                    pairs.setdefault((a.label, b.label), []).append((a.encoder, *values))
    level = adjusted_level(len(pairs))
    return [_over_units(*key, values, level) for key, values in pairs.items()]


def _over_units(
    first: str, second: str, values: Sequence[tuple[str, float, float]], level: float
) -> Lead:
    table = pd.DataFrame(values, columns=["encoder", "doublings", "shift"])
    several = table["encoder"].nunique() > 1
    if several:
        table = table.groupby("encoder", sort=False).mean().reset_index()
    doublings, shift = (
        _of_three(mean_estimate(table[name].to_numpy(float), level))
        for name in ("doublings", "shift")
    )
    unit = "encoders" if several else "runs"
    return Lead(first, second, doublings, within(shift, -OVERLAP, OVERLAP), unit)


def _of_three(found: Estimate) -> Estimate:
    return found if found.n >= FEWEST else Estimate(found.value, n=found.n)


def _lead(
    a: Curve, b: Curve, halves: dict[tuple[str, str, bytes], float], seed: int
) -> tuple[float, float]:
    """Doublings and shift over the steps of both; NaN where one of them is flat."""
    steps = np.intersect1d(a.steps, b.steps)
    if len(steps) < FEWEST:
        return math.nan, math.nan
    curves = _at(a, steps), _at(b, steps)
    keys = [(curve.kind, curve.label, steps.tobytes()) for curve in curves]
    for key, curve in zip(keys, curves, strict=True):
        if key not in halves:
            halves[key] = emergence(curve.values, steps, curve.errors, seed).half.value
    doublings = lead(*(halves[key] - steps[0] for key in keys))
    if math.isnan(doublings):
        return math.nan, math.nan
    shift = best_shift(curves[0].values, curves[1].values, steps)
    return doublings, shift / float(steps[-1] - steps[0])


def _at(curve: Curve, steps: Float[ndarray, " t"]) -> Curve:
    kept = np.isin(curve.steps, steps)
    errors = None if curve.errors is None else curve.errors[kept]
    return replace(curve, steps=steps, values=curve.values[kept], errors=errors)
