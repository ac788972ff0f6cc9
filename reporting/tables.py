"""Score rows as tables: headlines, logger keys and trajectories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from evaluation.metrics import LOWER_IS_BETTER
from evaluation.rows import COLUMNS, SELECTED, read_score_rows, with_meaning
from reporting.kinds import EXCESS, followed_scores

Row = Mapping[str, object]

MEANING = ["kind", "analysis", "of"]
"""Columns that say what a number is; a metric of a benchmark has one value of each."""
IDENTITY = ["encoder", "fingerprint", "step", "benchmark", "metric", *MEANING]
SUMMARY = ["benchmark", "metric", "label", "simulated", "start", "start_layer", "best"]
SUMMARY += ["best_layer", "best_step", "end", "end_layer", "end_step", "gain", "ceiling", "steps"]
MOST_LOGGED = 64
BEST = "best of steps (optimistic)"
"""Head of the column of the best step, which is a maximum."""


def score_table(source: str | PathLike[str] | Iterable[object]) -> pd.DataFrame:
    """Score rows as one table with a column, of fixed dtype, for every field of a score.

    Parameters
    ----------
    source : path or iterable
        A ``scores.jsonl``, whose last line may be incomplete (a killed run), or rows: mappings or
        dataclass instances. Fields that a score does not have are left out.

    Returns
    -------
    DataFrame
        Rows in the order written. A row written again (same encoder, fingerprint, step,
        benchmark, metric, layer, subject, target and window) replaces the earlier one.

    Raises
    ------
    ValueError
        If a line other than the last is not JSON.
    """
    rows: Iterable[object]
    if isinstance(source, str | PathLike):
        rows = [row for _, some in read_score_rows(Path(source)) for row in some]
    else:
        rows = source
    table = pd.DataFrame([as_row(row) for row in rows], columns=list(COLUMNS))
    for name, dtype in COLUMNS.items():
        column = table[name]
        if dtype == "str":
            column = column.astype(object).where(column.notna(), "")
        table[name] = column.eq(True) if dtype == "bool" else column.astype(dtype)
    unique = [*IDENTITY, "layer", "subject", "target", "window"]
    return table.drop_duplicates(unique, keep="last", ignore_index=True)


def as_row(row: object) -> Row:
    """A score or failure as a mapping, be it a mapping of any version or a dataclass instance."""
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    if isinstance(row, Mapping):
        return with_meaning(row)
    raise TypeError(f"a row is a mapping or a dataclass instance, got {type(row).__name__}")


def layer_means(scores: pd.DataFrame, key: Sequence[str] = IDENTITY) -> pd.DataFrame:
    """One row for each ``key`` and layer: the mean over its subjects and targets.

    A row that stands for all of them (no window, no target, no subject) counts where there is
    one, and the rows of every window, target or subject otherwise. Ceiling and chance are means
    too, and missing where any row lacks one; a confidence interval and a p-value stay only where
    a single row made the value; ``n`` is the smallest.
    """
    rows = scores
    for part in ("window", "target", "subject"):
        rows = _prefer(rows, rows[part] == "", [*key, "layer"])
    groups = rows.groupby([*key, "layer"], dropna=False, sort=False)
    means = groups[["value", "ceiling", "chance"]].mean(skipna=False)
    alone = groups.size() == 1
    for bound in ("ci_low", "ci_high", "p"):
        means[bound] = groups[bound].mean().where(alone)
    means["n"] = groups["n"].min()
    means["seconds"] = groups["seconds"].max()
    means["simulated"] = groups["simulated"].any()
    return means.reset_index()


def _prefer(rows: pd.DataFrame, wanted: pd.Series, key: Sequence[str]) -> pd.DataFrame:
    """The wanted rows of every group that has some; all rows of every other group."""
    groups = [rows[name] for name in key]
    present = wanted.groupby(groups, dropna=False, sort=False).transform("any").astype(bool)
    return rows[wanted | ~present]


def goodness(table: pd.DataFrame) -> pd.Series:
    """Values with the sign turned where lower is better, so that the largest is the best."""
    return table["value"].where(~table["of"].isin(LOWER_IS_BETTER), -table["value"])


def _best_layers(scores: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    scores = followed_scores(scores)
    means = layer_means(_prefer(scores, scores["layer"] == SELECTED, key), key)
    groups = [means[name] for name in key]
    best = means.loc[goodness(means).groupby(groups, dropna=False, sort=False).idxmax()]
    note = best["simulated"].map({True: " (simulated)", False: ""}).astype("str")
    return best.assign(label=best["benchmark"].astype("str") + note).reset_index(drop=True)


def headlines(scores: pd.DataFrame) -> pd.DataFrame:
    """The headline of every encoder, step, benchmark and metric: the mean of its best layer.

    Values are averaged over subjects and targets within each layer, unless a row stands for all
    of them (:func:`layer_means`), and the layer with the
    best mean is kept (of equals, the shallowest). Where the benchmark chose the layer itself on
    held-out data (rows of layer "selected"), those rows alone make the headline.

    Parameters
    ----------
    scores : DataFrame
        From :func:`score_table`.

    Returns
    -------
    DataFrame
        Columns encoder, fingerprint, step, benchmark, metric, kind, analysis, of, layer, value,
        ceiling, chance, ci_low, ci_high, p, n, seconds, simulated and label (the benchmark, marked
        where simulated).
    """
    return _best_layers(scores, IDENTITY)


def above_surrogates(heads: pd.DataFrame) -> pd.DataFrame:
    """Headlines without the raw value of a metric that has an excess over its surrogates.

    The level of surrogates moves with the encoder, and a raw value with it.
    """
    key = ["benchmark", "analysis", "of"]
    excess = heads["kind"] == EXCESS
    twins = set(heads.loc[excess, key].itertuples(index=False, name=None))
    has_twin = [one in twins for one in heads[key].itertuples(index=False, name=None)]
    raw = pd.Series(has_twin, index=heads.index, dtype=bool) & (heads["kind"] == "score")
    return heads[~raw]


def throughout(scores: pd.DataFrame) -> pd.DataFrame:
    """Without metrics that were evaluated at one step only, of benchmarks that were at several.

    So are those of the full form of a benchmark, which the end of a run takes.
    """
    steps = scores["step"].where(scores["step"].notna(), None)
    of_benchmark = steps.groupby(scores["benchmark"]).transform("nunique")
    of_metric = steps.groupby([scores["benchmark"], scores["metric"]]).transform("nunique")
    return scores[(of_benchmark < 2) | (of_metric != 1)]


def target_headlines(scores: pd.DataFrame) -> pd.DataFrame:
    """As :func:`headlines`, for every named target at that target's own best layer."""
    return _best_layers(scores[scores["target"] != ""], [*IDENTITY, "target"])


def log_keys(scores_of_one_step: pd.DataFrame) -> dict[str, float]:
    """What a logger is given: ``align/BENCHMARK/METRIC[/TARGET]`` and its value.

    Benchmarks named ``probe/…`` keep that prefix; all others are put under ``align/``. Metrics of
    more than 64 targets, such as those of single voxels, are given as their mean alone.

    Raises
    ------
    ValueError
        If the rows are of more than one encoder or step.
    """
    origins = scores_of_one_step[["encoder", "step"]].drop_duplicates()
    if len(origins) > 1:
        raise ValueError(
            f"rows of {len(origins)} encoders or steps ({origins.to_dict('records')}) but one "
            "step is logged at a time: filter the scores by encoder and step"
        )
    heads = headlines(scores_of_one_step).itertuples()
    keys = {_log_name(row.benchmark, row.metric): row.value for row in heads}
    targets = scores_of_one_step.groupby(["benchmark", "metric"])["target"].transform("nunique")
    for row in target_headlines(scores_of_one_step[targets <= MOST_LOGGED]).itertuples():
        keys[f"{_log_name(row.benchmark, row.metric)}/{row.target}"] = row.value
    return keys


def _log_name(benchmark: str, metric: str) -> str:
    prefix = "" if benchmark.startswith("probe/") else "align/"
    return f"{prefix}{benchmark}/{metric}"


def last_per_step(table: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Rows of training steps, in the order of steps; of a step evaluated twice, the later.

    Raises
    ------
    ValueError
        If one step has rows of several encoders.
    """
    run = table.dropna(subset=["step"])
    if (run.groupby("step")["encoder"].nunique() > 1).any():
        names = ", ".join(run["encoder"].unique())
        raise ValueError(
            f"one step has scores of several encoders ({names}) but a trajectory is of one: "
            "filter the scores by encoder and give the others as baselines"
        )
    return run.drop_duplicates([*key, "step"], keep="last").sort_values("step", kind="stable")


def trajectory_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Each benchmark and metric at step 0, at its best step and at the end.

    Returns
    -------
    DataFrame
        Columns ``SUMMARY``; gain is end - start, ``steps`` how many steps the best is of
        (a maximum: optimistic). Without a step 0, start and gain are missing;
        scores without a step (an encoder made elsewhere) are best and end where no others are.
    """
    heads, pairs = above_surrogates(headlines(throughout(scores))), ["benchmark", "metric"]
    rows = pd.concat([last_per_step(heads, pairs), heads[heads["step"].isna()]])
    groups = rows.groupby(pairs, sort=False)
    return pd.DataFrame([_summary(group) for _, group in groups], columns=SUMMARY)


def _summary(group: pd.DataFrame) -> dict[str, object]:
    trained = group.dropna(subset=["step"])
    group = (trained if len(trained) else group).reset_index(drop=True)
    start = group[group["step"].eq(0).fillna(False)]
    best, end = group.loc[goodness(group).idxmax()], group.iloc[-1]
    first = start.iloc[0] if len(start) else {"value": math.nan, "layer": ""}
    row = {name: end[name] for name in ("benchmark", "metric", "label", "simulated", "ceiling")}
    row |= {"start": first["value"], "start_layer": first["layer"]}
    for name, point in (("best", best), ("end", end)):
        row |= {name: point["value"], f"{name}_layer": point["layer"]}
        row[f"{name}_step"] = point["step"]
    return row | {"gain": end["value"] - first["value"], "steps": len(group)}


def number(value: float, signed: bool = False) -> str:
    """A value to three decimals, or a dash where there is none."""
    if pd.isna(value):
        return "–"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def p_text(p: float) -> str:
    """A p-value to three decimals, or a dash where there is none."""
    return "–" if pd.isna(p) else "< .001" if p < 0.001 else f"{p:.3f}"
