"""Correlations between alignment and usefulness over encoders: all, above the floor, partial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from reporting.gathering.downstream_scores import Downstream, Global, downstream, global_scores
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    alignment_heads,
    best_targets,
    ceilings,
    layer_profiles,
    missing_notes,
    over_encoders,
    select_compared,
)
from reporting.statistics.correlations import (
    FEWEST,
    LeftOut,
    Method,
    correlate,
    without_each_family,
)
from reporting.statistics.estimates import Estimate, adjusted_level, short
from reporting.statistics.families import FEWEST as FEWEST_FAMILIES
from reporting.statistics.families import family_labels, family_means
from reporting.statistics.matrices import Matrix, correlation_matrix

ALL, ABOVE = "all", "above the floor"
HELD = {"size": ["parameters"], "hours": ["hours"], "size and hours": ["parameters", "hours"]}


@dataclass(frozen=True)
class Pairing:
    """What there is to correlate.

    Attributes
    ----------
    encoders : DataFrame
        Those that are compared, without controls.
    brain : DataFrame
        Encoders by alignment scores.
    targets : DataFrame
        Encoders by targets of alignment scores, each at its own best layer.
    floors : DataFrame
        Controls by alignment scores.
    ceilings : Series
        Of every alignment score.
    tasks : Downstream
    scores : list of Global
    notes : list of str
    """

    encoders: pd.DataFrame
    brain: pd.DataFrame
    targets: pd.DataFrame
    floors: pd.DataFrame
    ceilings: pd.Series
    tasks: Downstream
    scores: list[Global]
    notes: list[str]


@dataclass(frozen=True)
class Association:
    """One alignment score and one downstream score over one set of encoders.

    ``by_family`` and ``by_family_rank`` are Pearson's and Spearman's correlation of family means,
    without a value for fewer than five families; ``pearson`` and ``spearman`` take encoders for
    units. Intervals are of ``level``: 95 % for all alignment scores together.
    """

    downstream: str
    alignment: str
    encoders: str
    n: int
    by_family: Estimate
    by_family_rank: Estimate
    pearson: Estimate
    spearman: Estimate
    pearson_left: LeftOut
    spearman_left: LeftOut
    ceiling: float

    def line(self) -> dict[str, str]:
        """As a line of a table."""
        return {
            "downstream": self.downstream,
            "alignment": self.alignment,
            "encoders": self.encoders,
            "families": str(self.by_family.n),
            "Pearson (families)": str(self.by_family),
            "Spearman (families)": str(self.by_family_rank),
            "n": str(self.n),
            "Pearson (encoders as units)": str(self.pearson),
            "without one family": range_text(self.pearson_left),
            "Spearman (encoders as units)": str(self.spearman),
            "without one family (rank)": range_text(self.spearman_left),
            "ceiling": short(self.ceiling),
        }


def range_text(left: LeftOut) -> str:
    """As ``.29 … 1.00 (lowest without small)``; a dash of one family."""
    few = f"fewer than {FEWEST} encoders without {', '.join(left.few)}" if left.few else ""
    if math.isnan(left.low):
        return few or "–"
    ends = f"{short(left.low)} … {short(left.high)}"
    return f"{ends} (lowest without {left.lowest}{'; ' * bool(few)}{few})"


def pairing(gathered: Gathered) -> Pairing:
    """Encoders by alignment scores, targets and tasks; what is missing is named."""
    encoders, controls = select_compared(gathered), select_compared(gathered, controls=True)
    names, floors = list(encoders.index), list(controls.index)
    heads = alignment_heads(gathered)
    brain = over_encoders(heads, names).dropna(axis=1, how="all")
    targets = over_encoders(best_targets(layer_profiles(gathered, names)), names)
    tasks = downstream(gathered, [*names, *floors])
    scores, notes = global_scores(tasks, names, floors)
    notes = [*missing_notes(brain), *missing_notes(tasks.values.loc[names]), *tasks.notes, *notes]
    beside = over_encoders(heads, floors)
    return Pairing(
        encoders, brain, targets, beside, ceilings(heads), tasks, scores, notes
    )  # fmt: skip


def associations(found: Pairing, seed: int = 0) -> list[Association]:
    """Every alignment score with every global score: all encoders, then those above the floor.

    Over fewer than five encoders nothing is said: there is no interval.
    """
    level = adjusted_level(found.brain.shape[1])
    return [
        _association(found, score, column, kind, names, seed, level)
        for score in found.scores
        for column in found.brain.columns
        for kind, names in _sets(score)
        if found.brain.loc[names, column].notna().sum() >= FEWEST
    ]


def _sets(score: Global) -> Iterator[tuple[str, list[str]]]:
    yield ALL, list(score.values.index)
    if not math.isnan(score.floor[0]):
        yield ABOVE, score.above_floor


def _association(
    found: Pairing,
    score: Global,
    column: str,
    kind: str,
    names: list[str],
    seed: int,
    level: float,
) -> Association:
    both = pd.DataFrame({"x": found.brain.loc[names, column], "y": score.values.loc[names]})
    both = both.dropna()
    families = family_labels(found.encoders.loc[both.index])
    means = family_means(both, families)
    a, b = (both[name].to_numpy(float) for name in "xy")
    known = families.tolist()

    def over(table: pd.DataFrame, method: Method) -> Estimate:
        x, y = (table[name].to_numpy(float) for name in "xy")
        return correlate(x, y, method, seed=seed, level=level)

    some = len(means) >= FEWEST_FAMILIES
    none = Estimate(math.nan, n=len(means))
    return Association(
        score.label,
        column,
        kind,
        len(both),
        over(means, "pearson") if some else none,
        over(means, "spearman") if some else none,
        over(both, "pearson"),
        over(both, "spearman"),
        without_each_family(a, b, known, "pearson"),
        without_each_family(a, b, known, "spearman"),
        float(found.ceilings.get(column, math.nan)),
    )


def partials(found: Pairing, seed: int = 0) -> pd.DataFrame:
    """Partial correlations given log size, log hours of training, and both, where known.

    Returns
    -------
    DataFrame
        Columns downstream, alignment, given, and of Pearson and Spearman the :class:`Estimate`
        with nothing held constant (over the same units) and with it: of family means first, then
        of encoders. Intervals are of 95 % for all alignment scores together.
    """
    rows = []
    for score in found.scores[:1]:
        for given, fields in HELD.items():
            numbers = found.encoders.loc[score.values.index, fields].apply(
                pd.to_numeric, errors="coerce"
            )
            log = np.log10(numbers.where(numbers > 0))
            for column in found.brain.columns:
                row = _partial(found, score, column, log, seed)
                if row:
                    rows.append(
                        {"downstream": score.label, "alignment": column, "given": given} | row
                    )
    return pd.DataFrame(rows)


def _partial(
    found: Pairing, score: Global, column: str, log: pd.DataFrame, seed: int
) -> dict[str, Estimate]:
    table = log.assign(x=found.brain.loc[log.index, column], y=score.values).dropna()
    if len(table) < FEWEST + log.shape[1]:
        return {}
    level = adjusted_level(found.brain.shape[1])
    means = family_means(table, family_labels(found.encoders.loc[table.index]))
    made = {}
    for name, units in (("families", means), ("encoders as units", table)):
        a, b = (units[side].to_numpy(float) for side in "xy")
        enough = len(units) >= FEWEST + log.shape[1]
        for method in ("pearson", "spearman"):
            for note, given in (("", None), (" given", units[log.columns].to_numpy(float).T)):
                label = f"{method.capitalize()}{note} ({name})"
                made[label] = (
                    correlate(a, b, method, given, seed=seed, level=level)
                    if enough
                    else Estimate(math.nan, n=len(units))
                )
    return made


def task_matrix(found: Pairing, kind: str, seed: int = 0) -> tuple[list[str], list[str], Matrix]:
    """Pearson correlations of scores and their targets (rows) with tasks and the global score.

    Pairs that fewer than five encoders have are missing, and rows of no others left out.

    Parameters
    ----------
    kind : str
        ``all`` encoders, or those ``above the floor``.
    """
    names = list(found.encoders.index)
    if kind == ABOVE:
        names = found.scores[0].above_floor
    rows = pd.concat([found.brain, found.targets], axis=1).loc[names]
    tasks = found.tasks.values.loc[names]
    columns = tasks.assign(**{score.label: score.values for score in found.scores[:1]})
    columns = columns.dropna(axis=1, how="all")
    known = rows.notna().to_numpy(int).T @ columns.notna().to_numpy(int)
    rows = rows.loc[:, (known >= FEWEST).any(1)]
    matrix = correlation_matrix(rows.to_numpy(float), columns.to_numpy(float), seed=seed)
    value = np.where(matrix.n >= FEWEST, matrix.value, math.nan)
    return list(rows.columns), list(columns.columns), replace(matrix, value=value)
