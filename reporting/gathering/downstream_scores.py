"""What encoders are good for: a score of each task, and one number for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reporting.downstream import (
    PREFERRED,
    frozen_score,
    reference,
    relative_score,
    task_scores,
)
from reporting.gathering.gathered import Gathered
from reporting.kinds import PROBES


@dataclass(frozen=True)
class Global:
    """One downstream score of every encoder.

    Attributes
    ----------
    label : str
        Short, for axes.
    text : str
        What it is the mean of.
    values : Series
        By name; only of encoders that have all the tasks it is of.
    floors : Series
        The same of controls, such as log-mel, by name.
    standard : bool
        In standard deviations from a mean (z).
    """

    label: str
    text: str
    values: pd.Series
    floors: pd.Series
    standard: bool = False

    @property
    def floor(self) -> tuple[float, str]:
        """The value an encoder has to pass, and what sets it.

        The best control; without one, -1 where scores are z (Pepino et al. 2025); else NaN.
        """
        if len(self.floors):
            return float(self.floors.max()), f"{self.floors.idxmax()}, the best control"
        return (-1.0, "z = −1, no control having these tasks") if self.standard else (math.nan, "")

    @property
    def above_floor(self) -> list[str]:
        """Names of the encoders that pass it; none without a floor."""
        return self.values.index[self.values > self.floor[0]].tolist()


@dataclass(frozen=True)
class Downstream:
    """Tasks (columns) of encoders (rows), and what could not be compared."""

    rows: pd.DataFrame
    values: pd.DataFrame
    normalised: pd.DataFrame
    seconds: pd.Series
    notes: list[str]


def downstream(gathered: Gathered, names: Sequence[str]) -> Downstream:
    """Every task by the probe and measure that most of the encoders share.

    Returns
    -------
    Downstream
        ``rows`` as of :func:`reporting.downstream.task_scores`, with the column name; ``values``
        raw; ``normalised`` from 0 at chance to 1; ``seconds`` the mean cost of a task.
    """
    heads = gathered.heads
    heads = heads[heads["benchmark"].astype(str).str.startswith(PROBES)]
    heads = heads[heads["name"].isin(names) & heads["value"].notna()]
    texts = ["benchmark", "metric", "layer", "encoder", "fingerprint", "name"]
    heads = heads.astype(dict.fromkeys(texts, "str")).assign(subject="", target="", window="")
    chosen, notes = _shared_metric(heads)
    kept = heads[pd.MultiIndex.from_frame(heads[["benchmark", "metric"]]).isin(chosen)]
    # A function made for rows of layers: headlines of headlines are the same.
    rows = task_scores(kept)
    owner = kept.drop_duplicates(["encoder", "fingerprint"]).set_index(["encoder", "fingerprint"])
    places = pd.MultiIndex.from_frame(rows[["encoder", "fingerprint"]])
    rows = rows.assign(name=owner["name"].reindex(places).to_numpy())
    tables = [
        rows.pivot_table(value, "name", "benchmark", sort=False)
        .reindex(list(names))
        .astype("float64")
        for value in ("value", "normalised")
    ]
    seconds = kept.groupby("benchmark", sort=False)["seconds"].mean()
    return Downstream(rows, tables[0], tables[1], seconds, notes)


def _shared_metric(heads: pd.DataFrame) -> tuple[list[tuple[str, str]], list[str]]:
    """One metric of every task: that which most encoders have; of several, the preferred probe."""
    wanted = reference()["measure"]
    key = ["benchmark", "metric", "analysis", "of"]
    table = heads.groupby(key, sort=False)["name"].nunique().reset_index()
    table = table.rename(columns={"analysis": "probe", "of": "measure"})
    known = table["benchmark"].map(wanted)
    fits = table["probe"].isin(PREFERRED) & (known.isna() | (known == table["measure"]))
    lost = sorted(set(table["benchmark"]) - set(table.loc[fits, "benchmark"]))
    notes = [f"{task}: no probe that stands for a task, left out" for task in lost]
    table = table[fits]
    rank = table["probe"].map(PREFERRED.index)
    table = table.assign(rank=rank).sort_values(["name", "rank"], ascending=[False, True])
    best = table.drop_duplicates("benchmark")
    all_names = heads.groupby("benchmark")["name"].nunique()
    for row in best.itertuples():
        if all_names[row.benchmark] > row.name:
            notes.append(
                f"{row.benchmark}: compared by {row.metric}, which {row.name} of "
                f"{all_names[row.benchmark]} encoders have; the others were probed otherwise"
            )
    return list(zip(best["benchmark"], best["metric"], strict=True)), notes


def global_scores(
    found: Downstream, names: Sequence[str], controls: Sequence[str] = ()
) -> tuple[list[Global], list[str]]:
    """The frozen and the relative score; without any task of the reference, a plain mean.

    All are over the encoders that have the same tasks: the set of tasks, of those that follow
    when the rarest is left out one after the other, that gives the most scores.

    Parameters
    ----------
    names, controls : sequence of str
        The encoders that are compared, and those that are floors.

    Returns
    -------
    list of Global
        Empty without two encoders that share a task.
    list of str
        What was left out.
    """
    values = found.values.loc[list(names)].dropna(axis=0, how="all").dropna(axis=1, how="all")
    if values.empty:
        return [], ["no encoder has a downstream task"]
    known = [task for task in values.columns if task in reference().index]
    table = values[known].dropna(axis=0, how="all") if known else values
    tasks = shared_tasks(table)
    whole = table[tasks].dropna()
    rare = [task for task in table.columns if task not in tasks]
    notes = [f"{task}: too few encoders have it for the global score" for task in rare]
    lacking = values.index.difference(whole.index, sort=False).tolist()
    if lacking:
        notes.append(f"without a global score, for want of a task: {', '.join(lacking)}")
    if len(whole) < 2:
        return [], [*notes, "fewer than two encoders share a downstream task"]
    floors = found.values.reindex(list(controls))[tasks].dropna()
    if known:
        return _of_reference(found, whole, floors), notes
    notes.append("none of the six tasks of the reference is there: no frozen score")
    return [_plain_mean(found, whole, floors)], notes


def shared_tasks(values: pd.DataFrame) -> list[str]:
    """The most common tasks, as many as give the most scores of encoders that have all of them."""
    order = values.notna().sum().sort_values(ascending=False, kind="stable").index.tolist()
    sizes = [k * len(values[order[:k]].dropna()) for k in range(1, len(order) + 1)]
    most = max(range(len(sizes)), key=lambda k: (sizes[k], k))
    return [task for task in values.columns if task in order[: most + 1]]


def _name_columns(tasks: pd.DataFrame) -> str:
    return ", ".join(task.removeprefix(PROBES) for task in tasks.columns)


def _of_reference(found: Downstream, whole: pd.DataFrame, floors: pd.DataFrame) -> list[Global]:
    rows = found.rows[found.rows["benchmark"].isin(whole.columns)]
    frozen = _by_name(rows, frozen_score(rows))
    relative = _by_name(rows, relative_score(rows[rows["name"].isin(whole.index)]))
    # A task in which all are equal has no z, of encoders (relative_score) or floors.
    beside = ((floors - whole.mean()) / whole.std(ddof=1).replace(0, math.nan)).mean(axis=1)
    text = f"mean of z over {whole.shape[1]} of 6 tasks ({_name_columns(whole)})"
    return [
        Global(
            "frozen score (z)",
            f"{text}, against the HEAR leaderboard",
            frozen.reindex(whole.index),
            frozen.reindex(floors.index),
            True,
        ),
        Global(
            "relative score (z)",
            f"{text}, against the encoders compared here",
            relative.reindex(whole.index),
            beside,
            True,
        ),
    ]


def _by_name(rows: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    owners = rows.drop_duplicates(["encoder", "fingerprint"])
    owners = owners.set_index(["encoder", "fingerprint"])["name"]
    places = pd.MultiIndex.from_frame(scores[["encoder", "fingerprint"]])
    return pd.Series(scores["z"].to_numpy(), owners.reindex(places).to_numpy())


def _plain_mean(found: Downstream, whole: pd.DataFrame, floors: pd.DataFrame) -> Global:
    normalised = found.normalised.reindex(columns=whole.columns)
    if normalised.loc[whole.index].notna().all(axis=None):
        text = f"mean over {whole.shape[1]} tasks ({_name_columns(whole)}) of"
        values = normalised.mean(axis=1, skipna=False)
        beside = values.reindex(floors.index).dropna()
        text = f"{text} (score - chance) / (1 - chance)"
        return Global("score above chance", text, values.loc[whole.index], beside)
    tasks = f"{whole.shape[1]} tasks ({_name_columns(whole)})"
    text = f"mean rank over {tasks}, 0 the last and 1 the first"
    share = (whole.rank() - 1) / (len(whole) - 1)
    # As if a floor stood among the encoders: an equal of one of them has its rank.
    below = [((whole < floor).sum() + (whole == floor).sum() / 2).mean() for _, floor in
             floors.iterrows()]  # fmt: skip
    beside = (pd.Series(below, floors.index, float) - 0.5) / (len(whole) - 1)
    return Global("mean rank", text, share.mean(axis=1), beside)
