"""Kinds of score rows: those that a trajectory follows, and those that only a figure shows."""

from __future__ import annotations

import pandas as pd

NULL, EXCESS = "null_", "excess_"
"""Metrics whose name begins so: the level of surrogates, a band in figures and no score; and what
of a score lies above it."""
PLAIN, MAP, WORDS, PROSODY, SHARED, DEPTH = "plain", "map", "words", "prosody", "shared", "depth"
CEILING, FOLD = "ceiling", "fold"
PROBES = "probe/"
WORD_CLASSES = ("content_", "function_", "word_")
SHARED_METRICS = ("tnc", "mediation_ratio")


def kinds(rows: pd.DataFrame) -> pd.Series:
    """The kind of every row.

    Parameters
    ----------
    rows : DataFrame
        From :func:`reporting.tables.score_table`.

    Returns
    -------
    Series
        ``fold``: one fold of a downstream task (``probe/…`` with a target). ``map``: an
        electrode (``map_NAME`` with a target). ``words``: a component of the response to words
        (``content_NAME``, ``function_NAME``, ``word_NAME`` that have some window that is a name),
        or the own choice among them, which has no window. ``prosody``: sentences of one prosody
        (``prosody_NAME`` with a target). ``shared``: what prosody, brain and model share (``tnc``,
        ``mediation_ratio``). ``depth``: where a metric peaks (``peak_depth_…``). ``ceiling``: a
        bound of the noise ceiling (``ceiling_NAME`` with a target). ``plain``: everything else.
        With ``null_`` or ``excess_`` before the metric, the same.
    """
    metric = rows["metric"].str.removeprefix(NULL).str.removeprefix(EXCESS)
    targeted = rows["target"] != ""
    found = pd.Series(PLAIN, index=rows.index, dtype="str")
    found[metric.str.startswith("map_") & targeted] = MAP
    named = named_windows(rows).groupby([rows["benchmark"], metric]).transform("any").astype(bool)
    found[metric.str.startswith(WORD_CLASSES) & named] = WORDS
    found[metric.str.startswith("prosody_") & targeted] = PROSODY
    found[metric.isin(SHARED_METRICS)] = SHARED
    found[metric.str.startswith("peak_depth_")] = DEPTH
    found[metric.str.startswith("ceiling_") & targeted] = CEILING
    found[rows["benchmark"].str.startswith(PROBES) & targeted] = FOLD
    return found


def named_windows(rows: pd.DataFrame) -> pd.Series:
    """Whether the window is a name, such as N400, and not a time."""
    times = pd.to_numeric(rows["window"], errors="coerce")
    return (rows["window"] != "") & times.isna()


def followed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that headlines and trajectories are made from: plain ones, without surrogates."""
    return rows[(kinds(rows) == PLAIN) & ~rows["metric"].str.startswith(NULL)]
