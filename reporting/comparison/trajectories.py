"""What a logger keeps of each trajectory: its best and its last value, and the area under it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from reporting.tables import above_surrogates, goodness

COLUMNS = ["encoder", "benchmark", "metric", "best", "best_step", "final", "final_step", "area"]
COLUMNS += ["steps"]


def trajectory_summaries(heads: pd.DataFrame) -> pd.DataFrame:
    """One row for each encoder, benchmark and metric.

    Parameters
    ----------
    heads : DataFrame
        Of :class:`reporting.comparison.gathered.Gathered`.

    Returns
    -------
    DataFrame
        ``best`` and ``final`` with their steps (missing for encoders made elsewhere), ``area``:
        the integral of the value over steps by the trapezoidal rule, divided by the steps it
        spans, so that it is a mean in the metric's own unit; NaN with fewer than two steps.
        ``steps`` is the number of steps examined.
    """
    table = above_surrogates(heads)
    table = table.assign(good=goodness(table)).sort_values("step", kind="stable")
    groups = table.groupby(["encoder", "benchmark", "metric"], sort=False)
    rows = [(*key, *_summary(group)) for key, group in groups]  # type: ignore[misc]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"best_step": "Int64", "final_step": "Int64"})


def _summary(group: pd.DataFrame) -> tuple[object, ...]:
    values, steps = group["value"].to_numpy(), group["step"]
    best = int(np.argmax(group["good"].to_numpy()))
    area = math.nan
    if steps.notna().all() and steps.nunique() > 1:
        x = steps.to_numpy(dtype=float)
        area = float(np.trapezoid(values, x) / (x[-1] - x[0]))
    return (values[best], steps.iloc[best], values[-1], steps.iloc[-1], area, len(group))
