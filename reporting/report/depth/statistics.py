"""At which depth encoders are most brain-like, and whether metrics agree about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.metrics import facts
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    alignment_heads,
    layer_profiles,
    over_encoders,
    over_targets,
    score_name,
    select_compared,
)
from reporting.statistics.estimates import Estimate, adjusted_level, mean_estimate, within
from reporting.statistics.families import FEWEST as FEWEST_FAMILIES
from reporting.statistics.families import family_labels, family_means
from reporting.statistics.rankings import concordance

GRID = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class Depths:
    """Depth profiles of the encoders that are compared.

    Attributes
    ----------
    profiles : DataFrame
        Columns name, benchmark, metric, layer, value, depth, ceiling, of, simulated, score and
        family.
    peaks : DataFrame
        Encoders (rows) by scores: relative depth of the highest layer; the mean of equals.
    families : DataFrame
        For every score, its benchmark and family of metrics.
    labels : Series
        The family of every encoder.
    notes : list of str
    """

    profiles: pd.DataFrame
    peaks: pd.DataFrame
    families: pd.DataFrame
    labels: pd.Series
    notes: list[str]


def depths(gathered: Gathered) -> Depths:
    """Profiles over layers of all encoders with two layers or more.

    Flat profiles have no peak; they and encoders of one layer are named.
    """
    encoders = select_compared(gathered)
    names = list(encoders.index)
    table = over_targets(layer_profiles(gathered, names))
    table = table.astype(dict.fromkeys(["name", "benchmark", "metric", "layer"], "str"))
    table = table.assign(score=score_name(table))
    layers = table.groupby(["name", "score"], sort=False)["layer"].transform("size")
    single = sorted(set(table.loc[layers < 2, "name"]) - set(table.loc[layers >= 2, "name"]))
    notes = [f"one layer only, no depth: {', '.join(single)}"] if single else []
    table = table[layers >= 2]
    table = table.assign(family=[facts(of).family for of in table["of"]])
    whole = table.groupby(["name", "score"], sort=False)["value"]
    high, low = whole.transform("max"), whole.transform("min")
    flat = (high - low) <= 1e-12 * high.abs()
    for name, rows in table[flat].groupby("score", sort=False):
        notes.append(f"{name}: the same at every layer of {', '.join(rows['name'].unique())}")
    best = table[(table["value"] >= high - 1e-12 * high.abs()) & ~flat]
    peaks = best.pivot_table("depth", "name", "score", sort=False)
    about = table.drop_duplicates("score").set_index("score")[["benchmark", "family"]]
    labels = family_labels(encoders)
    return Depths(table, peaks.reindex(columns=list(about.index)), about, labels, notes)


@dataclass(frozen=True)
class Means:
    """A mean over families, each the mean of its encoders, and one over encoders."""

    families: Estimate
    encoders: Estimate

    @property
    def best(self) -> Estimate:
        """That over families; over encoders, where families are too few."""
        return self.encoders if math.isnan(self.families.value) else self.families


def peak_table(found: Depths) -> dict[str, Means]:
    """Mean relative depth of the peak of every score, with Student's intervals.

    Intervals are of 95 % for all scores together.
    """
    level = adjusted_level(found.peaks.shape[1])
    return {str(name): _means(found, found.peaks[name], 0, level) for name in found.peaks}


def _means(found: Depths, values: pd.Series, low: float, level: float) -> Means:
    known = values.dropna()
    grouped = known.groupby(found.labels.loc[known.index].to_numpy(), sort=False).mean()
    both = [within(mean_estimate(x.to_numpy(float), level), low, 1) for x in (grouped, known)]
    few = len(grouped) < FEWEST_FAMILIES
    return Means(Estimate(math.nan, n=len(grouped)) if few else both[0], both[1])


def peak_difference(
    found: Depths, first: str = "rank geometry", second: str = "dependence"
) -> dict[str, Means]:
    """How much deeper one family of metrics peaks than another, of every benchmark, and of all.

    The mean over the metrics of a family, within each encoder; then the mean of the differences
    with Student's interval, of 95 % for all of them together. ``all`` is the mean over benchmarks
    of each encoder.
    """
    apart = {}
    for benchmark, about in found.families.groupby("benchmark", sort=False):
        sides = [
            found.peaks[about.index[about["family"] == family]].mean(axis=1)
            for family in (first, second)
        ]
        difference = sides[0] - sides[1]
        if difference.notna().any():
            apart[str(benchmark)] = difference
    if len(apart) > 1:
        apart["all"] = pd.DataFrame(apart).mean(axis=1)
    level = adjusted_level(len(apart))
    return {name: _means(found, values, -1, level) for name, values in apart.items()}


def mean_profile(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Mean, lower and upper end of Student's interval over encoders, at 21 relative depths.

    Each encoder's profile is put onto these depths by straight lines between its layers.
    """
    lines = [
        np.interp(GRID, own["depth"], own["value"]) for _, own in rows.groupby("name", sort=False)
    ]
    at = [mean_estimate(column) for column in np.stack(lines, 1)]
    ends = [np.array([getattr(x, end) for x in at]) for end in ("value", "low", "high")]
    low, high = (np.where(np.isnan(end), ends[0], end) for end in ends[1:])
    return ends[0], low, high, len(lines)


@dataclass(frozen=True)
class Agreement:
    """How far scores rank the same encoders alike.

    Attributes
    ----------
    w_families, p_families : Estimate, float
        Of the means of families; none below five.
    w, p : Estimate, float
        Kendall's W of encoders, and the p of as large a W when every score deals its ranks at
        random.
    ranks : DataFrame
        Scores (rows) by encoders: 1 is the best.
    left : list of str
        Scores or encoders that were left out for want of the others' cells.
    """

    w_families: Estimate
    p_families: float
    w: Estimate
    p: float
    ranks: pd.DataFrame
    left: list[str]


def agreement(
    gathered: Gathered, seed: int = 0, scores: Sequence[str] | None = None
) -> Agreement | None:
    """Kendall's W of all alignment scores over the encoders that have them.

    Rare scores are left out, and then encoders that lack one, so that most cells are kept. None
    where fewer than two scores share three encoders.
    """
    heads = alignment_heads(gathered)
    table = over_encoders(heads, list(select_compared(gathered).index)).dropna(axis=1, how="all")
    if scores is not None:
        table = table[[name for name in table if name in scores]]
    sizes = [
        k * len(table.iloc[:, :k].dropna()) if len(table.iloc[:, :k].dropna()) > 2 else 0
        for k in range(2, table.shape[1] + 1)
    ]
    if not sizes or max(sizes) == 0:
        return None
    kept = table.iloc[:, : 2 + int(np.argmax(sizes))].dropna()
    rare = [str(name) for name in table if name not in kept]
    left = [f"not ranked by, too few encoders have them: {', '.join(rare)}"] if rare else []
    left += [f"{name}: lacks a score" for name in table.index.difference(kept.index, sort=False)]
    means = family_means(kept, family_labels(select_compared(gathered)))
    by_family = Estimate(math.nan, n=len(means)), math.nan
    if len(means) >= FEWEST_FAMILIES:
        by_family = concordance(means.to_numpy(float).T, seed)
    w, p = concordance(kept.to_numpy(float).T, seed)
    ranks = kept.rank(ascending=False).T
    order = ranks.mean().sort_values(kind="stable").index
    own = math.nan if math.isnan(w.value) else p
    return Agreement(*by_family, w, own, ranks[order], left)
