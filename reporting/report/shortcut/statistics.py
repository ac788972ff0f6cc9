"""What is gained and lost by ranking encoders, or checkpoints, by a cheaper score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.gathering.downstream_scores import Global, downstream, global_scores
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import alignment_heads, over_encoders, select_compared
from reporting.report.better.statistics import Pairing
from reporting.statistics.estimates import (
    Estimate,
    adjusted_level,
    mean_estimate,
    short,
    within,
)
from reporting.statistics.families import FEWEST as FEWEST_FAMILIES
from reporting.statistics.families import family_labels, family_means
from reporting.statistics.ordering import CHANCE, order_accuracy, order_difference, regret

ALIGNMENT, TASK, TIME = "alignment", "another task", "training step"
AMONG = 5
FEWEST = 4
"""Checkpoints of a run, or encoders, below which nothing is ranked."""


@dataclass(frozen=True)
class Shortcut:
    """How well one score stands for the usefulness of encoders or checkpoints.

    Attributes
    ----------
    score, kind : str
        What is ranked by; kind is alignment, another task, or training step.
    truth : str
        What the ranks should be.
    by_family : Estimate
        Share of pairs of families (of their means) in the right order; of checkpoints, and below
        five families, no value.
    accuracy : Estimate
        Share of pairs of encoders, or checkpoints, in the right order.
    pick : str
        The encoder or step that would be taken.
    loss : float
        Regret of that pick among all, in units of the truth.
    loss_of_five, blind_loss : Estimate
        Mean regret among five at random, and that of picking one of five blindly.
    seconds : float
        Cost for one encoder.
    ceiling : float
        Of the score that is ranked by.
    """

    score: str
    kind: str
    truth: str
    by_family: Estimate
    accuracy: Estimate
    pick: str
    loss: float
    loss_of_five: Estimate
    blind_loss: float
    seconds: float
    ceiling: float

    def line(self) -> dict[str, str]:
        """As a line of a table."""
        return {
            "ranked by": self.score,
            "kind": self.kind,
            "truth": self.truth,
            "families": str(self.by_family.n) if self.by_family.n else "–",
            "pairs of families in order": str(self.by_family),
            "n": str(self.accuracy.n),
            f"pairs in order ({short(CHANCE, 1)} by chance)": str(self.accuracy),
            "pick": self.pick,
            "regret of the pick": short(self.loss, 3),
            f"regret of {AMONG} at random": str(self.loss_of_five),
            "blind regret": short(self.blind_loss),
            "seconds": "–" if math.isnan(self.seconds) else f"{self.seconds:.3g}",
            "ceiling": short(self.ceiling),
        }


def costs(gathered: Gathered) -> dict[str, float]:
    """Mean seconds of every benchmark for one of the encoders that are compared.

    Floors are cheap and the steps of one run many, so that neither counts.
    """
    heads = gathered.heads[gathered.heads["name"].isin(select_compared(gathered).index)]
    texts = heads["benchmark"].astype(str)
    return {str(name): float(s) for name, s in heads.groupby(texts)["seconds"].mean().items()}


def over_models(found: Pairing, seconds: Mapping[str, float]) -> list[Shortcut]:
    """Every alignment score against the global score, and every task against the other tasks.

    Intervals are of 95 % for all rows together.
    """
    truth = found.scores[0]
    tasks = found.tasks.values.loc[truth.values.index].dropna(axis=1)
    z = (tasks - tasks.mean()) / tasks.std(ddof=1).replace(0, math.nan)
    z = z.dropna(axis=1)
    columns = [c for c in found.brain if _known(found, c) >= FEWEST]
    others = list(z.columns) if z.shape[1] > 1 and len(z) >= FEWEST else []
    families, level = family_labels(found.encoders), adjusted_level(len(columns) + len(others))
    rows = []
    for column in columns:
        x = found.brain.loc[truth.values.index, column].dropna()
        cost = seconds.get(column.split(" ")[0], math.nan)
        ceiling = float(found.ceilings.get(column, math.nan))
        labels = (column, ALIGNMENT, truth.label)
        y = truth.values.loc[x.index]
        rows.append(_shortcut(x, y, labels, cost, ceiling, level, families))
    for task in others:
        rest = z.drop(columns=task).mean(axis=1)
        labels = (task, TASK, "mean z of the other tasks")
        cost = seconds.get(task, math.nan)
        rows.append(_shortcut(z[task], rest, labels, cost, math.nan, level, families))
    return rows


def _known(found: Pairing, column: str) -> int:
    return int(found.brain.loc[found.scores[0].values.index, column].notna().sum())


def separate_pairs(found: Pairing, best: str) -> tuple[int, int]:
    """From how many of the other alignment scores the best can be told, and of how many.

    Paired over the families that have both and the global score (over encoders, below five
    families). The best was found by looking at all k scores, so that any of their k (k - 1) / 2
    pairs could have been the one that is tested: the level is that of as many comparisons
    (Bonferroni). Where nothing differs any is told apart in 5 % of tables at most
    (``bench/told_apart.py``); a level of k - 1 comparisons is exceeded twice as often.
    """
    truth = found.scores[0].values
    names = [str(name) for name in found.brain.columns]
    level = adjusted_level(math.comb(len(names), 2))
    families = family_labels(found.encoders)
    told = of = 0
    for other in (name for name in names if name != best):
        both = found.brain.loc[truth.index, [best, other]].assign(truth=truth).dropna()
        means = family_means(both, families)
        units = means if len(means) >= FEWEST_FAMILIES else both
        if len(units) < FEWEST:
            continue
        a, b, y = (units[name].to_numpy(float) for name in (best, other, "truth"))
        of += 1
        told += order_difference(a, b, y, level).low > 0
    return told, of


def _shortcut(
    x: pd.Series,
    y: pd.Series,
    labels: tuple[str, str, str],
    cost: float,
    ceiling: float,
    level: float,
    families: pd.Series | None = None,
) -> Shortcut:
    a, b = x.to_numpy(float), y.to_numpy(float)
    whole = regret(a, b)
    five = regret(a, b, AMONG, level) if len(a) >= AMONG else Estimate(math.nan)
    blind = regret(np.zeros(len(a)), b, AMONG).value if len(a) >= AMONG else math.nan
    pick = str(x.index[int(a.argmax())])
    accuracy = order_accuracy(a, b, level)
    by_family = _over_families(x, y, families, level)
    return Shortcut(*labels, by_family, accuracy, pick, whole.value, five, blind, cost, ceiling)


def _over_families(
    x: pd.Series, y: pd.Series, families: pd.Series | None, level: float
) -> Estimate:
    if families is None:
        return Estimate(math.nan)
    means = family_means(pd.DataFrame({"x": x, "y": y}), families)
    if len(means) < FEWEST_FAMILIES:
        return Estimate(math.nan, n=len(means))
    return order_accuracy(means["x"].to_numpy(float), means["y"].to_numpy(float), level)


def accuracy_matrix(found: Pairing) -> tuple[pd.DataFrame, np.ndarray]:
    """Share of pairs in order for every alignment score (rows) and task, and texts of the cells."""
    tasks = found.tasks.values.loc[found.encoders.index].dropna(axis=1, how="all")
    tasks = tasks.assign(**{found.scores[0].label: found.scores[0].values})
    values = np.full((found.brain.shape[1], tasks.shape[1]), math.nan)
    texts = np.full(values.shape, "", dtype=object)
    for i, j in np.ndindex(*values.shape):
        both = pd.concat([found.brain.iloc[:, i], tasks.iloc[:, j]], axis=1).dropna()
        if len(both) < FEWEST:
            continue
        one = order_accuracy(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy())
        values[i, j] = one.value
        texts[i, j] = f"{found.brain.columns[i]}, {tasks.columns[j]}: {one}, n = {one.n}"
    some = np.isfinite(values).any(1)
    return pd.DataFrame(values, found.brain.columns, tasks.columns)[some], texts[some]


def over_checkpoints(
    gathered: Gathered, seconds: Mapping[str, float]
) -> tuple[dict[str, list[Shortcut]], list[str]]:
    """For every training run, its checkpoints ranked by each alignment score, and by their step.

    The truth is the downstream score over the tasks that the checkpoints of a run share.
    """
    heads = alignment_heads(gathered)
    found: dict[str, list[Shortcut]] = {}
    notes = []
    trained = gathered.encoders[gathered.encoders["step"].notna()]
    for run, table in trained.groupby(trained["run"].astype(str), sort=False):
        table = table.sort_values("step")
        names = list(table.index)
        if len(names) < FEWEST:
            continue
        scores, why = global_scores(downstream(gathered, names), names)
        brain = over_encoders(heads, names).dropna(axis=1, how="all")
        if not scores or len(scores[0].values) < FEWEST or brain.empty:
            reason = "; ".join(why) or "fewer than four checkpoints have the same scores"
            notes.append(f"{run}: its checkpoints are not ranked ({reason})")
            continue
        steps = table["step"].astype(float)
        found[str(run)] = _of_run(scores[0], brain, steps, heads, seconds)
    return found, notes


def _of_run(
    truth: Global,
    brain: pd.DataFrame,
    steps: pd.Series,
    heads: pd.DataFrame,
    seconds: Mapping[str, float],
) -> list[Shortcut]:
    own = heads[heads["name"].isin(brain.index)].groupby("score")["ceiling"].mean()
    level = adjusted_level(brain.shape[1] + 1)
    rows = []
    for column in brain.columns:
        x = brain.loc[truth.values.index, column].dropna()
        if len(x) >= FEWEST:
            cost = seconds.get(column.split(" ")[0], math.nan)
            labels = (column, ALIGNMENT, truth.label)
            y = truth.values.loc[x.index]
            rows.append(_shortcut(x, y, labels, cost, float(own.get(column, math.nan)), level))
    x = steps.loc[truth.values.index]
    rows.append(_shortcut(x, truth.values, (TIME, TIME, truth.label), 0.0, math.nan, level))
    return rows


def across_runs(runs: Mapping[str, list[Shortcut]]) -> list[tuple[str, Estimate, Estimate]]:
    """Accuracy and regret of every score: the mean over runs, with Student's interval.

    Of a single run, accuracy with its jackknife over checkpoints, and regret without interval; of
    two, no interval. Those of accuracy are cut at 0 and 1, those of regret at 0. They are of 95 %
    for all scores together.
    """
    names = list(dict.fromkeys(row.score for rows in runs.values() for row in rows))
    level = adjusted_level(len(names))
    found = []
    for name in names:
        own = [row for rows in runs.values() for row in rows if row.score == name]
        if len(own) == 1:
            found.append((name, own[0].accuracy, Estimate(own[0].loss, n=own[0].accuracy.n)))
            continue
        accuracy = _mean_within([row.accuracy.value for row in own], 1.0, level)
        found.append((name, accuracy, _mean_within([row.loss for row in own], math.inf, level)))
    return found


def _mean_within(values: Sequence[float], highest: float, level: float) -> Estimate:
    found = mean_estimate(np.array(values), level)
    if found.n < 3:
        return Estimate(found.value, n=found.n)
    return within(found, 0, highest)
