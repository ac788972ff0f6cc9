"""Not speed: how often a comparison finds something where nothing is to be found.

``python bench/told_apart.py`` draws score tables without any relation and runs the statistics of
``compare.py`` on them. Printed is the share of tables with

- the best of k alignment scores told from another, where all are equally good;
- an interval of any correlation above 0, where alignment and usefulness are unrelated;
- an adjusted p of any field of .05 or below, where groups do not differ;

with encoders independent, and with three a family that resemble each other (half of the variance).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from reporting.gathering.downstream_scores import Downstream, Global
from reporting.report.better.statistics import Pairing, associations
from reporting.report.drivers.statistics import factors
from reporting.report.shortcut.statistics import separate_pairs
from reporting.statistics.correlations import correlate
from reporting.statistics.estimates import LEVEL
from reporting.statistics.groups import holm
from reporting.statistics.ordering import order_accuracy, order_difference

SIZES, SCORES, OF_A_FAMILY = (15, 30), 6, 3
Found = dict[str, bool]


def draw(n: int, columns: int, related: bool, rng: np.random.Generator) -> np.ndarray:
    """Normal values of n encoders, alike within a family or not."""
    values = rng.standard_normal((n, columns))
    if not related:
        return values
    family = np.arange(n) // OF_A_FAMILY
    shared = rng.standard_normal((family.max() + 1, columns))[family]
    return (values + shared) / math.sqrt(2)


def pairing(brain: np.ndarray, useful: np.ndarray, related: bool) -> Pairing:
    """Alignment scores (columns) and usefulness of encoders, as sections have them."""
    names = [f"m{i}" for i in range(len(useful))]
    columns = [f"fmri/{k} r2" for k in range(brain.shape[1])]
    table = pd.DataFrame(brain, names, columns)
    family = [f"f{i // OF_A_FAMILY}" if related else name for i, name in enumerate(names)]
    score = Global("score", "", pd.Series(useful, names), pd.Series(dtype=float))
    none = pd.DataFrame(index=names)
    tasks = Downstream(none, none, none, pd.Series(dtype=float), [])
    encoders = pd.DataFrame({"family": family}, names)
    return Pairing(encoders, table, none, none, pd.Series(dtype=float), tasks, [score], [])


def best_told(n: int, scores: int, related: bool, rng: np.random.Generator) -> Found:
    """All alignment scores go with usefulness alike; is the best told from any?"""
    useful = draw(n, 1, related, rng)[:, 0]
    brain = 0.5 * useful[:, None] + draw(n, scores, related, rng)
    found = pairing(brain, useful, related)
    values = {name: found.brain[name].to_numpy(float) for name in found.brain}
    best = max(values, key=lambda name: order_accuracy(values[name], useful).value)
    level = 1 - (1 - LEVEL) / (scores - 1)
    before = any(
        order_difference(values[best], values[name], useful, level).low > 0
        for name in values
        if name != best
    )
    return {"before": before, "now": separate_pairs(found, best)[0] > 0}


def any_above_zero(n: int, scores: int, related: bool, rng: np.random.Generator) -> Found:
    """Alignment and usefulness are unrelated; does any interval say otherwise?"""
    brain, useful = draw(n, scores, related, rng), draw(n, 1, related, rng)[:, 0]
    rows = associations(pairing(brain, useful, related))
    return {
        "before": any(correlate(column, useful).low > 0 for column in brain.T),
        "encoders as units": any(row.pearson.low > 0 for row in rows),
        "now": any(row.by_family.low > 0 for row in rows),
    }


def any_driver(n: int, scores: int, related: bool, rng: np.random.Generator) -> Found:
    """Data and size, which a family has in common, do not matter; does any adjusted p say so?"""
    brain = pd.DataFrame(draw(n, scores, related, rng)).rename(columns=str)
    unit = np.arange(n) // OF_A_FAMILY if related else np.arange(n)
    kinds = np.array(["speech", "music"], dtype=object)[rng.permutation(unit.max() + 1) % 2]
    sizes = 10 ** rng.uniform(6, 9, unit.max() + 1)
    known = pd.DataFrame({"trained_on": kinds[unit], "objective": None, "parameters": sizes[unit]})
    known = known.assign(hours=math.nan, family=[f"f{k}" for k in unit]).astype({"family": object})
    known["objective"] = known["objective"].astype(object)
    rows = [r for r in factors(brain, known, int(rng.integers(10**6))) if r.field != "family"]
    return {
        "encoders as units": min(holm([row.encoders.p for row in rows])) <= 1 - LEVEL,
        "now": bool(np.nanmin([1.0, *holm([row.families.p for row in rows])]) <= 1 - LEVEL),
    }


QUESTIONS: dict[str, Callable[[int, int, bool, np.random.Generator], Found]] = {
    "the best is told from another": best_told,
    "any correlation above 0": any_above_zero,
    "any field matters": any_driver,
}


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    ways = ("before", "encoders as units", "now")
    table = Table("found", "encoders", "families", *ways)
    for name, ask in QUESTIONS.items():
        for n in SIZES:
            for related in (False, True):
                made = [
                    ask(n, SCORES, related, np.random.default_rng(seed))
                    for seed in track(range(runs), f"{name}, {n}", transient=True)
                ]
                cells = [
                    f"{np.mean([one[way] for one in made]):.3f}" if way in made[0] else ""
                    for way in ways
                ]
                families = f"{n // OF_A_FAMILY} of {OF_A_FAMILY}" if related else f"{n} of 1"
                table.add_row(name, str(n), families, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
