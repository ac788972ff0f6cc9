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
from reporting.statistics.estimates import short

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
    notes = [*_floor_notes(found), *_left_out(found, rows), *found.notes]
    charts = scatters(gathered, found, rows)
    items = [*charts, forest(rows), grid(rows), *matrices(found, seed), *_partials(found, seed)]
    return Section("better", QUESTION, _answer(found, rows), items, notes)


def _answer(found: Pairing, rows: Sequence[Association]) -> str:
    label = found.scores[0].label
    mine = [row for row in rows if row.downstream == label]
    whole, above = ([r for r in mine if r.encoders == kind] for kind in (ALL, ABOVE))
    first = whole[0]
    text = f"Over {first.n} encoders {first.alignment} goes with the {label} at r = {first.pearson}"
    if not math.isnan(first.pearson_left.low):
        text += f", without one family at {range_text(first.pearson_left)}"
    if above:
        text += f", over the {above[0].n} above the floor at r = {above[0].pearson}"
    text += f". Of {len(whole)} alignment scores {_above_zero(whole)} have an interval above 0"
    if above:
        text += f", {_above_zero(above)} above the floor"
    by_family = [row.pearson_left.interval.low for row in whole]
    if not all(math.isnan(low) for low in by_family):
        text += f", {sum(low > 0 for low in by_family)} with families for units"
    return f"{text}; of unrelated scores one in forty has one."


def _above_zero(rows: Sequence[Association]) -> int:
    return sum(row.pearson.low > 0 for row in rows)


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
    table.insert(3, "n", [estimate.n for estimate in table["Pearson"]])
    caption = (
        "The same correlations with model size (log parameters) and hours of training audio (log) "
        "held constant, beside those over the same encoders with nothing held constant."
    )
    return [Grid("better_partial", table.map(str), caption)]
