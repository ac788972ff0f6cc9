"""Which rows a trajectory follows, and which only a figure of their own shows."""

from __future__ import annotations

import pandas as pd

from evaluation.quantities import WORDS

PROBES = "probe/"
"""Benchmarks whose name begins so are downstream tasks."""
NULL, EXCESS, CEILING, PEAK, FOLD = "null", "excess", "ceiling", "peak", "fold"
FOLLOWED = ("score", EXCESS, "depth", "contribution", "voxel", "contrast")
"""Kinds of rows that headlines and trajectories are made from."""
ERP, MAP, PROSODY, SHARING = "erp", "map", "prosody", "sharing"
ASIDE = (ERP, MAP, PROSODY, SHARING, *WORDS)
"""Analyses that have figures of their own and are followed by no trajectory."""


def followed_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that headlines and trajectories are made from.

    Parameters
    ----------
    rows : DataFrame
        From :func:`reporting.tables.score_table`.
    """
    return rows[rows["kind"].isin(FOLLOWED) & ~rows["analysis"].isin(ASIDE)]


def same_quantity(rows: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Rows of the metric and analysis that ``like`` has, of any kind."""
    first = like.iloc[0]
    return rows[(rows["of"] == first["of"]) & (rows["analysis"] == first["analysis"])]


def named_windows(rows: pd.DataFrame) -> pd.Series:
    """Whether the window is a name, such as N400, and not a time."""
    times = pd.to_numeric(rows["window"], errors="coerce")
    return (rows["window"] != "") & times.isna()
