"""How alignment depends on what encoders are: training data, objective, family, size, hours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from reporting.statistics.correlations import FEWEST, correlate
from reporting.statistics.estimates import Estimate, adjusted_level
from reporting.statistics.families import FEWEST as FEWEST_FAMILIES
from reporting.statistics.families import family_labels, family_means
from reporting.statistics.groups import (
    Comparison,
    compare_groups,
    holm,
    rank_p,
    shared_share,
)

FAMILY = "family"
GROUPS = {"trained_on": "training data", "objective": "objective", FAMILY: "family"}
NUMBERS = {"parameters": "parameters", "hours": "hours of training audio"}
ENTANGLED = 0.9


@dataclass(frozen=True)
class Result:
    """One alignment score by one field over units of one kind; ``groups`` or ``slope`` is known."""

    n: int
    p: float
    groups: Comparison | None = None
    slope: Estimate | None = None


NONE = Result(0, math.nan)


@dataclass(frozen=True)
class Factor:
    """One field of the encoders against one alignment score.

    Attributes
    ----------
    families : Result
        The mean of each family in each group is a unit; nothing of the family itself, and below
        five such units, or no more of them than groups.
    encoders : Result
        Encoders are units, related ones counted as independent.
    """

    score: str
    field: str
    families: Result
    encoders: Result


def of_families(row: Factor) -> Result:
    """The result with families as units."""
    return row.families


def of_encoders(row: Factor) -> Result:
    """The result with encoders as units."""
    return row.encoders


def adjust(found: Sequence[Factor], units: Callable[[Factor], Result]) -> list[float]:
    """p of every row with units of one kind, adjusted for all of them (Holm)."""
    return holm([units(row).p for row in found])


def known_fields(encoders: pd.DataFrame) -> pd.DataFrame:
    """Fields with empty texts and numbers that are not above 0 as missing."""
    texts = {name: encoders[name].astype(object) for name in GROUPS}
    known = {name: t.where(t.notna() & (t.astype(str) != "")) for name, t in texts.items()}
    numbers = {name: pd.to_numeric(encoders[name], errors="coerce") for name in NUMBERS}
    return pd.DataFrame(known | {name: x.where(x > 0) for name, x in numbers.items()})


def factors(brain: pd.DataFrame, known: pd.DataFrame, seed: int = 0) -> list[Factor]:
    """Every alignment score by every field over the encoders of which both are known.

    Groups: eta² and its permutation p; a group of one unit counts. Numbers: Spearman's correlation
    with the logarithm and its permutation p. Intervals are of 95 % for all rows together.
    """
    labels = family_labels(known)
    pairs = [
        (str(s), f)
        for s in brain
        for f in GROUPS | NUMBERS
        if _enough(brain[s], known[f], f in GROUPS)
    ]
    level = adjusted_level(len(pairs))
    found = []
    for score, field in pairs:
        both = pd.DataFrame({"value": brain[score], "field": known[field]}).dropna()
        grouped = field in GROUPS
        units = family_units(both, labels, grouped)
        test = _of_groups if grouped else _of_numbers
        by_family = NONE
        if (
            field != FAMILY
            and len(units) >= FEWEST_FAMILIES
            and _enough(units["value"], units["field"], grouped)
        ):
            by_family = test(units, seed, level)
        found.append(Factor(score, field, by_family, test(both, seed, level)))
    return found


def family_units(both: pd.DataFrame, families: pd.Series, grouped: bool) -> pd.DataFrame:
    """Columns value and field: the mean of each family, of groups that of each family in a group.

    Means of numbers are those of logarithms.
    """
    family = families.loc[both.index].to_numpy()
    if grouped:
        made = both.assign(family=family).groupby(["family", "field"], sort=False)["value"].mean()
        return made.reset_index()[["value", "field"]]
    logs = both.assign(field=np.log10(both["field"].to_numpy(float)))
    means = family_means(logs, families)
    return means.assign(field=10 ** means["field"])


def _enough(score: pd.Series, field: pd.Series, grouped: bool) -> bool:
    """Two groups and more units than groups; or five units of three numbers."""
    values = field[score.notna() & field.notna()]
    if grouped:
        return 2 <= values.nunique() < len(values)
    return len(values) >= FEWEST and values.nunique() >= 3


def _of_groups(both: pd.DataFrame, seed: int, level: float) -> Result:
    labels = both["field"].astype(str).tolist()
    made = compare_groups(both["value"].to_numpy(float), labels, seed=seed, level=level)
    return Result(len(both), made.p, groups=made)


def _of_numbers(both: pd.DataFrame, seed: int, level: float) -> Result:
    x, y = both["value"].to_numpy(float), np.log10(both["field"].to_numpy(float))
    slope = correlate(x, y, "spearman", level=level)
    return Result(len(both), rank_p(x, y, seed=seed), slope=slope)


def entangled(known: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Fields that go together so that effects cannot be told apart, and their Cramér's V."""
    found = []
    for a, b in combinations(GROUPS, 2):
        both = known[[a, b]].dropna()
        if len(both) < 3:
            continue
        share = shared_share(both[a].astype(str).tolist(), both[b].astype(str).tolist())
        if share > ENTANGLED:
            found.append((a, b, share))
    return found
