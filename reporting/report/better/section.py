"""Are better representations more brain-like?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from reporting.gathering.gathered import Gathered
from reporting.report.better.figures import MOST_SCATTERS, forest, grid, matrices, scatters
from reporting.report.better.statistics import (
    ABOVE,
    ALL,
    Association,
    Pairing,
    associations,
    pairing,
    partials,
    range_text,
)
from reporting.report.section import Grid, Section
from reporting.statistics.correlations import FEWEST
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.families import AS_UNITS, unknown_notes

QUESTION = "Are better representations more brain-like?"


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Global downstream score against each alignment score over encoders.

    Every correlation is given over all encoders and over those above the floor, since in Pepino
    et al. 2025 correlations of .90 and .89 (regression), .81 and .84 (RSA) over all encoders are
    .71, .70, .44 and .50 without the weakest.
    """
    found = pairing(gathered)
    if found.brain.shape[1] == 0 or not found.scores or len(found.scores[0].values) < 3:
        lacking = "no alignment score" if found.brain.shape[1] == 0 else "no global score"
        note = f"{lacking} that three encoders have: nothing to correlate"
        return Section("better", QUESTION, "Not enough to say.", [], [note, *found.notes])
    rows = associations(found, seed)
    if not rows:
        note = f"no alignment score that {FEWEST} encoders with a global score have"
        return Section("better", QUESTION, "Not enough to say.", [], [note, *found.notes])
    unknown = unknown_notes(found.encoders.loc[found.scores[0].values.index])
    notes = [*_floor_notes(found), *unknown, *_left_out(found, rows), *found.notes]
    charts = scatters(gathered, found, rows)
    items = [*charts, forest(rows), grid(rows), *matrices(found, seed), *_partials(found, seed)]
    return Section("better", QUESTION, _answer(found, rows), items, notes)


def _answer(found: Pairing, rows: Sequence[Association]) -> str:
    label = found.scores[0].label
    mine = [row for row in rows if row.downstream == label]
    whole, above = ([r for r in mine if r.encoders == kind] for kind in (ALL, ABOVE))
    first = whole[0]
    by_family = not math.isnan(first.by_family.value)
    goes = f"{first.alignment} goes with the {label} at r = "
    own = f"{first.n} {AS_UNITS}"
    if by_family:
        text = f"Over {first.by_family.n} families {goes}{first.by_family}; "
        text += f"over {own} at r = {first.pearson}"
    else:
        text = f"Over {own} {goes}{first.pearson}; {first.by_family.n} families are too few"
    if not math.isnan(first.pearson_left.low):
        text += f", without one family at {range_text(first.pearson_left)}"
    if above:
        text += f". Above the floor: {_above_text(above[0])}"
    text += f". Of {len(whole)} alignment scores "
    text += f"{_above_zero([r.by_family for r in whole])} have an interval above 0 " * by_family
    text += "with families as units, " * by_family
    text += f"{_above_zero([r.pearson for r in whole])} " + "have one " * (not by_family)
    text += "with encoders"
    if above:
        text += f", {_above_zero([r.pearson for r in above])} above the floor"
    return f"{text}. {_together(len(whole))}."


def _above_text(row: Association) -> str:
    own = f"r = {row.pearson} over {row.n} encoders as units"
    if math.isnan(row.by_family.value):
        return f"{own}, of {row.by_family.n} families, too few for units"
    return f"r = {row.by_family} over {row.by_family.n} families, {own}"


def _together(count: int) -> str:
    """What the intervals promise."""
    if count == 1:
        return "Of unrelated scores one in forty has an interval above 0"
    return (
        f"Intervals are of 95 % for all {count} together: where all are unrelated, one in forty "
        "reports has any interval above 0 with families as units, more with related encoders"
    )


def _above_zero(estimates: Sequence[Estimate]) -> int:
    return sum(estimate.low > 0 for estimate in estimates)


def _floor_notes(found: Pairing) -> list[str]:
    notes = []
    for score in found.scores:
        value, name = score.floor
        notes.append(f"{score.label}: {score.text}")
        if math.isnan(value):
            notes.append(f"{score.label}: no control has these tasks, so no floor is known")
            continue
        below = score.values.index.difference(score.above_floor, sort=False)
        listed = ", ".join(below) or "none"
        notes.append(f"{score.label}: the floor is {short(value)} ({name}); not above it: {listed}")
    return notes


def _left_out(found: Pairing, rows: Sequence[Association]) -> list[str]:
    known = {row.alignment for row in rows}
    more = len(known) - MOST_SCATTERS
    notes = ["controls are floors and are not counted among the encoders"]
    few = [str(name) for name in found.brain if name not in known]
    if few:
        notes.append(
            f"not correlated, since fewer than {FEWEST} encoders with a global score have them: "
            f"{', '.join(few)}"
        )
    if more > 0:
        notes.append(f"{more} more alignment scores are in the table, not drawn as points")
    return notes


def _partials(found: Pairing, seed: int) -> list[Grid]:
    table = partials(found, seed)
    if table.empty:
        return []
    units = {"families": "families", "n": "encoders as units"}
    for place, (name, kind) in enumerate(units.items()):
        counts = [estimate.n for estimate in table[f"Pearson ({kind})"]]
        table.insert(3 + place, name, counts)
    caption = (
        "The same correlations with model size (log parameters) and hours of training audio (log) "
        "held constant, beside those over the same units with nothing held constant; families "
        f"first, then {AS_UNITS}. {_together(found.brain.shape[1])}."
    )
    return [Grid("better_partial", table.map(str), caption)]
