"""How alignment depends on what encoders are: training data, objective, family, size, hours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from reporting.statistics.correlations import FEWEST, correlate
from reporting.statistics.estimates import Estimate
from reporting.statistics.groups import (
    Comparison,
    compare_groups,
    p_of_families,
    rank_p,
    shared_share,
)

FAMILY = "family"
GROUPS = {"trained_on": "training data", "objective": "objective", FAMILY: "family"}
NUMBERS = {"parameters": "parameters", "hours": "hours of training audio"}
ENTANGLED = 0.9


@dataclass(frozen=True)
class Factor:
    """One field of the encoders against one alignment score; ``groups`` or ``slope`` is known.

    ``p`` takes encoders for units, ``p_families`` families (NaN of the family itself, and of
    numbers).
    """

    score: str
    field: str
    n: int
    p: float
    p_families: float = math.nan
    groups: Comparison | None = None
    slope: Estimate | None = None


def known_fields(encoders: pd.DataFrame) -> pd.DataFrame:
    """Fields with empty texts and numbers that are not above 0 as missing."""
    texts = {name: encoders[name].astype(object) for name in GROUPS}
    known = {name: t.where(t.notna() & (t.astype(str) != "")) for name, t in texts.items()}
    numbers = {name: pd.to_numeric(encoders[name], errors="coerce") for name in NUMBERS}
    return pd.DataFrame(known | {name: x.where(x > 0) for name, x in numbers.items()})


def factors(brain: pd.DataFrame, known: pd.DataFrame, seed: int = 0) -> Iterator[Factor]:
    """Every alignment score by every field over the encoders of which both are known.

    Groups: eta² and its permutation p; a group of one encoder counts. Numbers: Spearman's
    correlation with their bootstrap interval and its permutation p.
    """
    families = known[FAMILY].where(known[FAMILY].notna(), pd.Series(known.index, known.index))
    for score in brain:
        for field in GROUPS:
            both = pd.concat([brain[score], known[field]], axis=1).dropna()
            labels = both[field].astype(str).tolist()
            if len(set(labels)) < 2 or len(labels) <= len(set(labels)):
                continue
            values = both[score].to_numpy(float)
            made = compare_groups(values, labels, seed=seed)
            own = families.loc[both.index].tolist()
            whole = p_of_families(values, labels, own, seed=seed) if field != FAMILY else math.nan
            yield Factor(str(score), field, len(both), made.p, whole, groups=made)
        for field in NUMBERS:
            both = pd.concat([brain[score], known[field]], axis=1).dropna()
            if len(both) < FEWEST or both[field].nunique() < 3:
                continue
            x, y = both[score].to_numpy(float), np.log10(both[field].to_numpy(float))
            slope = correlate(x, y, "spearman", seed=seed)
            yield Factor(str(score), field, len(both), rank_p(x, y, seed=seed), slope=slope)


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
