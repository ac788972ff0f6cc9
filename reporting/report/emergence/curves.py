"""Curves of scores over training, run by run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm

from reporting.gathering.downstream_scores import downstream, global_scores
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    NON_PRIMARY,
    PRIMARY,
    alignment_heads,
    best_targets,
    ceilings,
    layer_profiles,
    over_encoders,
)
from reporting.statistics.estimates import LEVEL

FEWEST = 3
ALIKE = ["written", "family", "trained_on", "objective", "parameters"]
"""Runs that are the same in these differ in their seed."""
SCORE, TARGET, REGION, TASK = "score", "target", "region", "task"
PRIMARY_NAME, OTHER_NAME = "primary", "non-primary"


@dataclass(frozen=True)
class Curve:
    """One score of one training run.

    Attributes
    ----------
    run, encoder : str
        Runs that differ in their seed have the same encoder (:func:`seeds`).
    name : str
        Of the run's last step, by which the encoder is coloured.
    kind : str
        score, target, region (the mean over primary or non-primary targets) or task.
    score : str
        What is scored; of targets and regions, the score they are part of.
    part : str
        The target or region.
    steps, values : array of shape (steps,)
        Higher is better.
    hours_per_step : float
        Hours of audio; NaN where not known.
    ceiling : float
    errors : array of shape (steps,), optional
        Standard errors of the values, where all rows have an interval.
    """

    run: str
    encoder: str
    name: str
    kind: str
    score: str
    part: str
    steps: Float[ndarray, " t"]
    values: Float[ndarray, " t"]
    hours_per_step: float
    ceiling: float = math.nan
    errors: Float[ndarray, " t"] | None = None

    @property
    def label(self) -> str:
        """Score and part."""
        return f"{self.score} {self.part}".strip().removeprefix("probe/")


def training_runs(gathered: Gathered) -> Iterator[tuple[str, pd.DataFrame]]:
    """Runs with at least three evaluated steps: their steps in order, each once."""
    trained = gathered.encoders[gathered.encoders["step"].notna()]
    for run, table in trained.groupby(trained["run"].astype(str), sort=False):
        table = table.sort_values("step", kind="stable").drop_duplicates("step", keep="last")
        if len(table) >= FEWEST:
            yield str(run), table


def curves(gathered: Gathered) -> tuple[list[Curve], list[str]]:
    """Alignment scores, their targets, regions and downstream tasks of every training run.

    Scores that a run has at fewer than three steps are left out; where one lacks some of the
    run's steps it is of those it has, and named.
    """
    runs = list(training_runs(gathered))
    called = seeds(runs)
    names = [name for _, table in runs for name in table.index]
    if not names:
        return [], []
    heads = alignment_heads(gathered)
    brain = over_encoders(heads, names)
    fine = best_targets(layer_profiles(gathered, names))
    targets = over_encoders(fine, names)
    tasks = downstream(gathered, names)
    known = {**ceilings(heads), **ceilings(fine)} if len(fine) else dict(ceilings(heads))
    errors = _errors(heads.assign(column=heads["score"]), names)
    of_tasks = _errors(_task_heads(gathered, tasks.rows), names)
    parts = {row.score: row for row in fine.drop_duplicates("score").itertuples()}
    found: list[Curve] = []
    notes = list(tasks.notes)
    for run, table in runs:
        own = list(table.index)
        whole = _blank(run, called[run], table)
        made = _of_table(whole, SCORE, brain.loc[own], table, notes, errors)
        for curve in _of_table(whole, TARGET, targets.loc[own], table, notes):
            row = parts[curve.score]
            score = curve.score.removesuffix(f" {row.target}")
            ceiling = known.get(curve.score, math.nan)
            made.append(replace(curve, score=score, part=str(row.target), ceiling=ceiling))
        made += _regions(made)
        made += _of_table(whole, TASK, tasks.values.loc[own], table, notes, of_tasks)
        scores, _ = global_scores(downstream(gathered, own), own)
        overall = pd.DataFrame({score.label: score.values for score in scores[:1]}).reindex(own)
        made += _of_table(whole, TASK, overall, table, notes)
        found += [
            replace(c, ceiling=known.get(c.score, math.nan)) if c.kind == SCORE else c for c in made
        ]
    return found, notes


def seeds(runs: Sequence[tuple[str, pd.DataFrame]]) -> dict[str, str]:
    """What the encoder of each run is called: the same where runs differ in their seed only.

    Those are runs of one name (in their rows) whose family, data, objective and parameters are
    the same. Runs that were given other names by hand are told apart.
    """
    kinds: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for run, table in runs:
        last = table.iloc[-1]
        label, written = str(last["encoder"]), str(last.get("written", last["encoder"]))
        by_hand = "" if label == written or label.startswith(f"{written} (") else label
        key = (*(str(last.get(name)) for name in ALIKE), by_hand)
        kinds.setdefault(key, []).append((run, label))
    count = Counter(key[0] for key in kinds)
    called: dict[str, str] = {}
    for key, members in kinds.items():
        labels = list(dict.fromkeys(label for _, label in members))
        more = f" and {len(labels) - 1} more"
        alone = labels[0] if len(labels) == 1 else ""
        name = alone or key[-1] or (key[0] if count[key[0]] == 1 else labels[0] + more)
        called |= {run: name for run, _ in members}
    return called


def _blank(run: str, encoder: str, table: pd.DataFrame) -> Curve:
    last = table.iloc[-1]
    hours = pd.to_numeric(pd.Series([last["hours"]]), errors="coerce").iloc[0]
    final = float(last["step"])
    rate = float(hours) / final if final > 0 else math.nan
    empty = np.zeros(0)
    return Curve(run, encoder, str(table.index[-1]), "", "", "", empty, empty, rate)


def _task_heads(gathered: Gathered, rows: pd.DataFrame) -> pd.DataFrame:
    """Headlines of the metrics that stand for tasks, with the task as ``column``."""
    heads = gathered.heads
    wanted = pd.MultiIndex.from_frame(rows[["benchmark", "metric"]].astype(str))
    kept = heads[pd.MultiIndex.from_frame(heads[["benchmark", "metric"]].astype(str)).isin(wanted)]
    return kept.assign(column=kept["benchmark"].astype(str))


def _errors(heads: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Standard errors, ``(high - low) / (2 x 1.96)``, as a table of names and columns."""
    spread = (heads["ci_high"] - heads["ci_low"]) / (2 * norm.ppf((1 + LEVEL) / 2))
    rows = heads.assign(error=spread, name=heads["name"].astype(str))
    return rows.pivot_table("error", "name", "column").reindex(list(names))


def _of_table(
    blank: Curve,
    kind: str,
    values: pd.DataFrame,
    table: pd.DataFrame,
    notes: list[str],
    errors: pd.DataFrame | None = None,
) -> list[Curve]:
    steps = table["step"].to_numpy(float)
    found = []
    for column in values:
        held = values[column].notna().to_numpy()
        if held.sum() < FEWEST:
            continue
        if not held.all() and kind != TARGET:
            notes.append(f"{blank.run}: {column} at {held.sum()} of {len(held)} steps only")
        known = values[column].to_numpy(float)[held]
        made = replace(blank, kind=kind, score=str(column), steps=steps[held], values=known)
        if errors is not None and column in errors:
            own = errors.loc[table.index[held], column].to_numpy(float)
            made = replace(made, errors=own if np.isfinite(own).all() else None)
        found.append(made)
    return found


def _regions(made: Sequence[Curve]) -> list[Curve]:
    """Means over primary and over non-primary targets of each score, at the steps they share."""
    found = []
    targets = [curve for curve in made if curve.kind == TARGET]
    for score in dict.fromkeys(curve.score for curve in targets):
        for part, wanted in ((PRIMARY_NAME, PRIMARY), (OTHER_NAME, NON_PRIMARY)):
            own = [c for c in targets if c.score == score and c.part in wanted]
            if own and all(np.array_equal(c.steps, own[0].steps) for c in own):
                mean = np.mean([c.values for c in own], axis=0)
                found.append(replace(own[0], kind=REGION, part=part, values=mean, ceiling=math.nan))
    return found
