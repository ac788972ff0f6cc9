"""What drives alignment: training data, objective, family, size, hours?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from reporting.drawing.pieces import (
    encoder_looks,
)
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    alignment_heads,
    ceilings,
    missing_notes,
    over_encoders,
    select_compared,
)
from reporting.report.drivers.figures import MOST_PANELS, group_charts, number_charts
from reporting.report.drivers.statistics import (
    FAMILY,
    GROUPS,
    NUMBERS,
    Factor,
    adjust,
    entangled,
    factors,
    family_units,
    known_fields,
    of_encoders,
    of_families,
)
from reporting.report.section import Chart, Grid, Section
from reporting.statistics.estimates import adjusted_level, short
from reporting.statistics.families import AS_UNITS, family_labels
from reporting.statistics.groups import Comparison, difference
from reporting.tables import p_text

QUESTION = "What drives it?"
SURE = 0.05


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Alignment by training data, objective, family, size and hours of training audio."""
    encoders = select_compared(gathered)
    heads = alignment_heads(gathered)
    brain = over_encoders(heads, list(encoders.index)).dropna(axis=1, how="all")
    known = known_fields(encoders)
    notes = [*_field_notes(encoders, known), *_entangled_notes(known), *missing_notes(brain)]
    found = factors(brain, known, seed)
    if not found:
        note = "no alignment score that encoders of two groups, or of five sizes, have"
        return Section("drivers", QUESTION, "Not enough to say.", [], [note, *notes])
    looks = encoder_looks(gathered)
    items: list[Chart | Grid] = [
        *group_charts(looks, brain, known, found),
        *number_charts(looks, brain, known, found),
        _table(found, ceilings(heads)),
    ]
    items += _pairs(brain, known, found)
    hidden = brain.shape[1] - MOST_PANELS
    if hidden > 0:
        notes.append(f"{hidden} more scores are in the tables, not drawn")
    return Section("drivers", QUESTION, _answer(found, known), items, notes)


def _answer(found: Sequence[Factor], known: pd.DataFrame) -> str:
    first = [k for k, row in enumerate(found) if row.score == found[0].score]
    sentences = []
    for units, name in ((of_families, "Families as units"), (of_encoders, AS_UNITS.capitalize())):
        adjusted = adjust(found, units)
        own = [(found[k].field, units(found[k]), adjusted[k]) for k in first]
        shares = [
            f"{GROUPS[field]} {short(made.groups.share)} ({short(made.groups.expected)} by chance, "
            f"adjusted p {p_text(q)}, n = {made.n}{_highest(made.groups) if q < SURE else ''})"
            for field, made, q in own
            if made.groups is not None and not math.isnan(made.p)
        ]
        slopes = [
            f"rho with {NUMBERS[field]} {made.slope}, adjusted p {p_text(q)}, n = {made.n}"
            for field, made, q in own
            if made.slope is not None
        ]
        parts = [f"share of its variance that groups explain: {', '.join(shares)}"] * bool(shares)
        if parts := [*parts, *slopes]:
            sentences.append(f"{name}: {'; '.join(parts)}")
        else:
            sentences.append(f"{name}: too few")
    pairs = entangled(known)
    if pairs:
        names = [GROUPS[name] for name in GROUPS if any(name in pair[:2] for pair in pairs)]
        listed = f"{', '.join(names[:-1])} and {names[-1]}".capitalize()
        sentences.append(f"{listed} go together, so that their effects cannot be separated")
    text = ". ".join(sentences)
    return f"{found[0].score}. {text}. Adjusted for all {len(found)} rows of the table (Holm)."


def _highest(made: Comparison) -> str:
    """The group of the highest mean, of those of two units or more."""
    means = {name: mean.value for name, mean in made.means.items() if mean.n > 1}
    return f"; highest: {max(means, key=lambda name: means[name])}" if len(means) > 1 else ""


def _field_notes(encoders: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    notes = []
    for field, what in (GROUPS | NUMBERS).items():
        lacking = encoders.index[known[field].isna()].tolist()
        if lacking:
            listed = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
            notes.append(
                f"{what} not known of {len(lacking)} of {len(encoders)} encoders ({listed})"
                + ": each counts as a family of its own" * (field == FAMILY)
            )
    return notes


def _entangled_notes(known: pd.DataFrame) -> list[str]:
    return [
        f"{GROUPS[a]} and {GROUPS[b]} go together (Cramér's V {short(share)}): their effects "
        "cannot be separated here"
        for a, b, share in entangled(known)
    ]


def _table(found: Sequence[Factor], ceiling: pd.Series) -> Grid:
    adjusted = [adjust(found, units) for units in (of_families, of_encoders)]
    lines = []
    for k, row in enumerate(found):
        about = {"alignment": row.score, "field": (GROUPS | NUMBERS)[row.field]}
        for name, made, q in (
            ("families", row.families, adjusted[0][k]),
            ("encoders as units", row.encoders, adjusted[1][k]),
        ):
            share, chance = "–", "–"
            if made.groups is not None:
                share, chance = short(made.groups.share), short(made.groups.expected)
            about |= {
                f"n ({name})": str(made.n), f"eta² ({name})": share, f"by chance ({name})": chance,
                f"rho ({name})": "–" if made.slope is None else str(made.slope),
                f"p ({name})": p_text(made.p), f"adjusted p, Holm ({name})": p_text(q),
            }  # fmt: skip
        groups = row.families.groups or row.encoders.groups
        means = "–" if groups is None else "; ".join(
            f"{k} {v}, n = {v.n}" for k, v in groups.means.items()
        )  # fmt: skip
        lines.append(
            about | {"means": means, "ceiling": short(float(ceiling.get(row.score, math.nan)))}
        )
    caption = (
        "How alignment depends on what encoders are: families as units (the mean of each family in "
        f"a group), then {AS_UNITS}. eta²: share of the variance between groups, beside its mean "
        "when units are dealt at random; rho: Spearman's correlation with the number. p: units "
        f"shuffled, of the row alone; adjusted for all {len(found)} rows (Holm). Intervals of rho "
        "and of means are of 95 % for all rows together (Bonferroni). Means are of families where "
        "there are some. Of the family itself encoders alone can be units."
    )
    return Grid("drivers_table", pd.DataFrame(lines), caption)


def _pairs(brain: pd.DataFrame, known: pd.DataFrame, found: Sequence[Factor]) -> list[Grid]:
    labels = family_labels(known)
    pairs = []
    for row in (row for row in found if row.field in ("trained_on", "objective")):
        both = pd.DataFrame({"value": brain[row.score], "field": known[row.field]}).dropna()
        families, own = (
            {str(k): v.to_numpy(float) for k, v in units.groupby("field")["value"]}
            for units in (family_units(both, labels, grouped=True), both)
        )
        about = {"alignment": row.score, "field": GROUPS[row.field]}
        pairs += [(about, a, b, families, own) for a, b in combinations(own, 2)]
    if not pairs:
        return []
    level = adjusted_level(len(pairs))
    lines = []
    for about, a, b, families, own in pairs:
        line = about | {"groups": f"{a} − {b}"}
        for name, parts in (("families", families), ("encoders as units", own)):
            line[f"n ({name})"] = f"{len(parts[a])}, {len(parts[b])}"
            line[f"difference ({name})"] = str(difference(parts[a], parts[b], level))
        lines.append(line)
    caption = (
        "Differences between the means of two groups: of family means, then of "
        f"{AS_UNITS}. Welch's intervals, of 95 % for all {len(pairs)} rows together (Bonferroni)."
    )
    return [Grid("drivers_differences", pd.DataFrame(lines), caption)]
