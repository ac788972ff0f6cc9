"""Score rows as tables over encoders: a row for each name, a column for each score or task."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evaluation.metrics import LOWER_IS_BETTER, facts
from evaluation.rows import SELECTED
from reporting.gathering.gathered import Gathered
from reporting.kinds import EXCESS, PROBES, followed_scores
from reporting.tables import MEANING, above_surrogates, goodness

KEY = ["name", "benchmark", "metric", "target"]
MOST_TARGETS = 64
PRIMARY = frozenset({"lowfreq", "highfreq", "Primary"})
"""Targets of primary auditory cortex: the two tonotopic components (Norman-Haignere et al. 2015,
figure 6) and the region of that name."""
NON_PRIMARY = frozenset({"speech", "music", "Lateral", "Posterior", "Anterior"})
"""Targets beyond it; ``pitch`` and ``envsounds`` lie across the border and are counted to
neither."""


def select_compared(gathered: Gathered, controls: bool = False) -> pd.DataFrame:
    """The encoders that stand for themselves; floors alone, or all but them."""
    table = gathered.encoders[gathered.encoders["final"].astype(bool)]
    return table[table["control"].astype(bool) == controls]


def alignment_heads(gathered: Gathered) -> pd.DataFrame:
    """Headlines of brain benchmarks, higher is better, with the column ``score``.

    Without raw values of what has surrogates, and without metrics that are no score.
    """
    heads = gathered.heads
    brain = ~heads["benchmark"].astype(str).str.startswith(PROBES)
    kept = above_surrogates(_plain_text(heads[brain & are_scores(heads) & heads["value"].notna()]))
    return kept.assign(value=goodness(kept), score=score_name(kept))


def are_scores(rows: pd.DataFrame) -> pd.Series:
    """Which rows may stand for a benchmark: others describe data, layers, or a difference."""
    headline = {of: facts(str(of)).headline for of in rows["of"].unique()}
    return rows["kind"].isin(["score", EXCESS]) & rows["of"].map(headline).astype(bool)


def score_name(rows: pd.DataFrame) -> pd.Series:
    """Benchmark and metric of every row in one text, marked where simulated."""
    note = rows["simulated"].map({True: " (simulated)", False: ""}).astype(str)
    return rows["benchmark"].astype(str) + " " + rows["metric"].astype(str) + note


def _plain_text(rows: pd.DataFrame) -> pd.DataFrame:
    names = [
        name for name in ("name", "run", "benchmark", "metric", *MEANING, "layer") if name in rows
    ]
    return rows.astype(dict.fromkeys(names, "str"))


def over_encoders(heads: pd.DataFrame, names: Sequence[str], column: str = "score") -> pd.DataFrame:
    """Values of heads as a table of names (rows, all of them) and scores, the most common first.

    Among equally common ones fMRI comes before ECoG and EEG, and r2 before other metrics: what is
    read first does not matter.
    """
    rows = heads[heads["name"].isin(names)]
    table = rows.pivot_table("value", "name", column, sort=False, observed=True)
    table = table.reindex(list(names)).astype("float64")
    known = table.notna().sum()
    return table[sorted(table, key=lambda score: (-known[score], *_place(score)))]


def _place(score: str) -> tuple[bool, str, bool, str]:
    benchmark, _, metric = score.partition(" ")
    return not benchmark.startswith("fmri/"), benchmark, not metric.startswith("r2"), metric


def ceilings(heads: pd.DataFrame) -> pd.Series:
    """The mean ceiling of every score over the rows that have one."""
    return heads.groupby("score", sort=False)["ceiling"].mean()


def missing_notes(table: pd.DataFrame, most: int = 5) -> list[str]:
    """A line for all columns that the same encoders lack, with their names."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for column in table.columns[table.isna().any()]:
        lacking = tuple(table.index[table[column].isna()])
        groups.setdefault(lacking, []).append(str(column))
    return [
        f"{_take_few(columns, most)}: {len(lacking)} of {len(table)} encoders lack "
        f"{'it' if len(columns) == 1 else 'them'} ({_take_few(lacking, most)})"
        for lacking, columns in groups.items()
    ]


def _take_few(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def layer_profiles(gathered: Gathered, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The value of every layer for every name, brain benchmark, metric and target.

    The mean over participants, unless a row stands for all. Rows in time, surrogates, layers
    that a benchmark chose itself (unless it gives nothing else) and benchmarks of more than 64
    targets are left out.

    Returns
    -------
    DataFrame
        Columns name, benchmark, metric, target, layer, value (higher is better), ceiling,
        of, simulated and depth, from 0 (first layer) to 1 (last).
    """
    rows = gathered.scores
    rows = rows[_is_wanted(rows) & (rows["window"] == "") & rows["value"].notna()]
    if names is not None:
        rows = rows[rows["name"].isin(names)]
    rows = rows.astype(dict.fromkeys([*KEY, "layer", "subject"], "category"))
    whole = rows["subject"] == ""
    key = rows.groupby([*KEY, "layer"], observed=True, sort=False).ngroup()
    rows = rows[whole | ~whole.groupby(key).transform("any")]
    groups = rows.groupby([*KEY, "layer"], observed=True, sort=False)
    columns = {"value": "mean", "ceiling": "mean", "simulated": "any"}
    table = groups.agg(columns).reset_index()
    place = table.groupby(KEY, observed=True, sort=False)
    last = (place["value"].transform("size") - 1).clip(lower=1)
    metrics = rows.drop_duplicates("metric")
    of = dict(zip(metrics["metric"].astype(str), metrics["of"].astype(str), strict=True))
    table["of"] = [of[str(metric)] for metric in table["metric"]]
    lower = table["of"].isin(LOWER_IS_BETTER)
    table["value"] = table["value"].where(~lower, -table["value"])
    return table.assign(depth=place.cumcount() / last)


def _is_wanted(rows: pd.DataFrame) -> pd.Series:
    """Which rows are followed scores of single layers; asked of every kind of row once."""
    parts = pd.DataFrame({name: rows[name] for name in ("benchmark", "metric", *MEANING, "window")})
    parts["target"] = (rows["target"] != "").map({True: "some", False: ""}).astype("str")
    parts["single"] = rows["layer"] != SELECTED
    kind = parts.groupby(list(parts), observed=True, sort=False).ngroup()
    few = _plain_text(parts.loc[~kind.duplicated()]).astype({"window": "str"})
    kept = followed_scores(few)
    kept = kept[~kept["benchmark"].str.startswith(PROBES) & kept["single"]]
    kept = kept[are_scores(kept)]
    targets = rows.groupby(["benchmark", "metric"], observed=True)["target"].nunique()
    small = targets[targets <= MOST_TARGETS].index
    pairs = pd.MultiIndex.from_frame(kept[["benchmark", "metric"]])
    kept = kept[pairs.isin(small)]
    return kind.isin(kind[kept.index])


def over_targets(profiles: pd.DataFrame) -> pd.DataFrame:
    """Profiles of the mean over targets, unless a row stands for all of them."""
    whole = profiles["target"] == ""
    key = ["name", "benchmark", "metric"]
    group = profiles.groupby(key, observed=True, sort=False).ngroup()
    rows = profiles[whole | ~whole.groupby(group).transform("any")]
    columns = {"value": "mean", "ceiling": "mean", "simulated": "any", "depth": "first"}
    columns |= {"of": "first"}
    return rows.groupby([*key, "layer"], observed=True, sort=False).agg(columns).reset_index()


def best_targets(profiles: pd.DataFrame) -> pd.DataFrame:
    """The value of every named target at its own best layer, with ``score`` naming all three."""
    rows = profiles[profiles["target"] != ""]
    columns = {"value": "max", "ceiling": "mean", "simulated": "any"}
    table = rows.groupby(KEY, observed=True, sort=False).agg(columns).reset_index()
    table = table.astype(dict.fromkeys(KEY, "str"))
    return table.assign(score=score_name(table) + " " + table["target"])
