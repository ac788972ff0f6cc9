"""Kinds of score rows: those that a trajectory follows, and those that only a figure shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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
    targeted = rows["target"] != ""
    found = pd.Series(PLAIN, index=rows.index, dtype="str")
    found[_begins(rows["metric"], "map_") & targeted] = MAP
    words = _begins(rows["metric"], WORD_CLASSES)
    if words.any():
        some = rows[words]
        groups = [some["benchmark"], some["metric"].map(_bare).astype("str")]
        named = named_windows(some).groupby(groups).transform("any").astype(bool)
        words[words] = named.to_numpy()
        found[words] = WORDS
    found[_begins(rows["metric"], "prosody_") & targeted] = PROSODY
    found[_of_each(rows["metric"], lambda name: _bare(name) in SHARED_METRICS)] = SHARED
    found[_begins(rows["metric"], "peak_depth_")] = DEPTH
    found[_begins(rows["metric"], "ceiling_") & targeted] = CEILING
    of_probes = _of_each(rows["benchmark"], lambda name: name.startswith(PROBES))
    found[of_probes & targeted] = FOLD
    return found


def _bare(metric: str) -> str:
    return metric.removeprefix(NULL).removeprefix(EXCESS)


def _begins(column: pd.Series, beginning: str | tuple[str, ...]) -> pd.Series:
    return _of_each(column, lambda name: _bare(name).startswith(beginning))


def _of_each(column: pd.Series, holds: Callable[[str], bool]) -> pd.Series:
    """Whether something holds of a text, asked once for each that there is."""
    codes, names = pd.factorize(column)
    return pd.Series(np.array([holds(str(name)) for name in names], bool)[codes], column.index)


def named_windows(rows: pd.DataFrame) -> pd.Series:
    """Whether the window is a name, such as N400, and not a time."""
    times = pd.to_numeric(rows["window"], errors="coerce")
    return (rows["window"] != "") & times.isna()


def followed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that headlines and trajectories are made from: plain ones, without surrogates."""
    null = _of_each(rows["metric"], lambda name: name.startswith(NULL))
    return rows[(kinds(rows) == PLAIN) & ~null]
