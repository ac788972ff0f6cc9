"""One name for each encoder, and for each of its training steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

import pandas as pd

from reporting.gathering.origins import Origin

ORIGINS = ["encoder", "fingerprint", "step", "run"]


def name_encoders(
    scores: pd.DataFrame, origins: Mapping[str, Origin], aliases: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.Series]:
    """Every encoder, fingerprint, step and run that has rows, with its names.

    An encoder keeps the name in its rows where that stands for one training run or one set of
    weights, and has its run in brackets where it stands for several. What a probe evaluated of a
    training run, by fingerprint and step or by the path of the checkpoint, belongs to that run.

    Parameters
    ----------
    scores : DataFrame
        From :func:`reporting.gathering.reading.read_runs`.
    origins : mapping
        Of every run.
    aliases : mapping
        From a name, as it would be given, or a pattern of runs to the name that is shown.

    Returns
    -------
    table : DataFrame
        Columns encoder, fingerprint, step, run (as in the rows), home (the training run that an
        encoder with steps is of), label (its name) and name (label and step).
    places : Series
        The row of that table for every score.
    """
    places = scores.groupby(ORIGINS, observed=True, dropna=False, sort=False).ngroup()
    rows = scores.loc[~places.duplicated(), ORIGINS].reset_index(drop=True)
    rows = rows.astype({"encoder": "str", "fingerprint": "str", "run": "str"})
    rows["home"] = _homes(rows, origins)
    labels = zip(_labels(rows), rows["home"], strict=True)
    rows["label"] = [_alias(label, run, aliases) for label, run in labels]
    steps = ["" if pd.isna(step) else f" step {step:,}" for step in rows["step"]]
    rows["name"] = _make_unique(rows["label"] + pd.Series(steps, dtype="str"), rows)
    return rows, places


def _make_unique(names: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """Names that stand for several sets of weights get the beginning of the fingerprint."""
    several = rows["fingerprint"].groupby(names).transform("nunique") > 1
    return names.where(~several, names + " #" + rows["fingerprint"].str[:6])


def _homes(rows: pd.DataFrame, origins: Mapping[str, Origin]) -> pd.Series:
    """The training run of weights with a step; the run itself of weights without."""
    trained = rows[rows["step"].notna()]
    visited = trained.groupby(["encoder", "run"])["step"].nunique()
    best: dict[tuple[str, str, int], str] = {}
    for row in trained.itertuples():
        key, count = (row.encoder, row.fingerprint, row.step), visited[row.encoder, row.run]
        if key not in best or count > visited[row.encoder, best[key]]:
            best[key] = row.run
    homes = []
    for row in rows.itertuples():
        home = row.run if pd.isna(row.step) else best[row.encoder, row.fingerprint, row.step]
        path = PurePath(origins[home].checkpoint)
        of_training = not pd.isna(row.step) and path.parent.name == "checkpoints"
        homes.append(str(path.parent.parent) if of_training else home)
    return _as_given(pd.Series(homes, index=rows.index, dtype="str"), list(origins))


def _as_given(homes: pd.Series, runs: list[str]) -> pd.Series:
    """The same folder by the same name, be it written from the root or from here."""
    known = {str(Path(run).resolve()): run for run in runs}
    return homes.map(lambda home: known.get(str(Path(home).resolve()), home)).astype("str")


def _labels(rows: pd.DataFrame) -> pd.Series:
    """Names of encoders; with their run in brackets where one name stands for several."""
    trained = rows["step"].notna()
    which = rows["fingerprint"].where(~trained, rows["home"])
    labels = rows["encoder"].where(rows["encoder"] != "", "unnamed")
    several = which.groupby([labels, trained]).transform("nunique") > 1
    mixed = trained.groupby(labels).transform("nunique") > 1
    short = short_names(rows["home"].unique())
    runs = " (" + rows["home"].map(short).astype("str") + ")"
    labels = labels.where(~several & ~(mixed & trained), labels + runs)
    return labels.where(trained, _make_unique(labels.where(~trained, ""), rows))


def short_names(runs: Iterable[str]) -> dict[str, str]:
    """Runs by the last parts of their paths, as many as it takes to tell them apart."""
    runs = list(runs)
    for depth in range(1, 1 + max((len(PurePath(run).parts) for run in runs), default=0)):
        short = {run: "/".join(PurePath(run).parts[-depth:]) for run in runs}
        if len(set(short.values())) == len(runs):
            return short
    return {run: run for run in runs}


def _alias(label: str, run: str, aliases: Mapping[str, str]) -> str:
    for pattern, alias in aliases.items():
        if label == pattern or fnmatchcase(run, pattern):
            return alias
    return label
