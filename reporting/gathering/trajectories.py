"""What a logger keeps of each trajectory: its best and its last value, and the area under it."""

from __future__ import annotations

import math

import pandas as pd

from evaluation.metrics import LOWER_IS_BETTER
from reporting.summaries import area, best_index
from reporting.tables import above_surrogates

COLUMNS = ["encoder", "benchmark", "metric", "best_optimistic", "best_step", "final", "final_step"]
COLUMNS += ["area", "steps"]


def trajectory_summaries(heads: pd.DataFrame) -> pd.DataFrame:
    """One row for each encoder, benchmark and metric.

    Parameters
    ----------
    heads : DataFrame
        Of :class:`reporting.gathering.gathered.Gathered`.

    Returns
    -------
    DataFrame
        ``best_optimistic`` (the extreme of ``steps`` values) and ``final`` with their steps
        (missing for encoders made elsewhere), ``area``
        as :func:`reporting.summaries.area` has it; NaN with fewer than two steps.
        ``steps`` is the number of steps evaluated.
    """
    table = above_surrogates(heads).sort_values("step", kind="stable")
    groups = table.groupby(["encoder", "benchmark", "metric"], sort=False)
    rows = [(*key, *_summary(group)) for key, group in groups]  # type: ignore[misc]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"best_step": "Int64", "final_step": "Int64"})


def _summary(group: pd.DataFrame) -> tuple[object, ...]:
    values, steps = group["value"].to_numpy(), group["step"]
    best = best_index(values, lower=group["of"].iloc[0] in LOWER_IS_BETTER)
    mean = area(steps.to_numpy(dtype=float, na_value=math.nan), values)
    return (values[best], steps.iloc[best], values[-1], steps.iloc[-1], mean, len(group))
