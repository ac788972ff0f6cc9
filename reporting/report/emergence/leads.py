"""Which of two scores rises first over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.report.emergence.rises import (
    FEWEST,
    OTHER_NAME,
    PRIMARY_NAME,
    REGION,
    SCORE,
    TASK,
    Curve,
)
from reporting.statistics.estimates import Estimate, mean_estimate, within
from reporting.statistics.timing import OVERLAP, best_shift, emergence, lead


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


def leads(found: Sequence[Curve], first: str = SCORE, second: str = TASK) -> list[Lead]:
    """Every curve of the one kind with every curve of the other, over all runs that have both.

    Regions are paired within their score: primary first, non-primary second. No interval of
    fewer than three runs or encoders.
    """
    by_run: dict[str, list[Curve]] = {}
    for curve in found:
        by_run.setdefault(curve.run, []).append(curve)
    pairs: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for made in by_run.values():
        for a in (c for c in made if c.kind == first and c.part != OTHER_NAME):
            for b in (c for c in made if c.kind == second and c.part != PRIMARY_NAME):
                if second != REGION or a.score == b.score:
                    pairs.setdefault((a.label, b.label), []).append((a.encoder, *_lead(a, b)))
    return [_over_units(*key, values) for key, values in pairs.items()]


def _over_units(first: str, second: str, values: Sequence[tuple[str, float, float]]) -> Lead:
    table = pd.DataFrame(values, columns=["encoder", "doublings", "shift"])
    several = table["encoder"].nunique() > 1
    if several:
        table = table.groupby("encoder", sort=False).mean().reset_index()
    doublings, shift = (
        _of_three(mean_estimate(table[name].to_numpy(float))) for name in ("doublings", "shift")
    )
    unit = "encoders" if several else "runs"
    return Lead(first, second, doublings, within(shift, -OVERLAP, OVERLAP), unit)


def _of_three(found: Estimate) -> Estimate:
    return found if found.n >= FEWEST else Estimate(found.value, n=found.n)


def _lead(a: Curve, b: Curve) -> tuple[float, float]:
    steps = np.intersect1d(a.steps, b.steps)
    if len(steps) < FEWEST:
        return math.nan, math.nan
    x, y = a.values[np.isin(a.steps, steps)], b.values[np.isin(b.steps, steps)]
    both = emergence(np.stack([x, y]), steps)
    doublings = lead(*(both.half - steps[0]).tolist())
    return doublings, best_shift(x, y, steps) / float(steps[-1] - steps[0])
