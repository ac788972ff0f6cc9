"""Is alignment a shortcut to the usefulness of a representation?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from reporting.drawing.pieces import (
    dots,
    error_bars,
    finish,
    heat_map,
    label_places,
    legend,
    log_axis,
    room,
    rule,
)
from reporting.gathering.gathered import Gathered
from reporting.gathering.naming import short_names
from reporting.report.better.statistics import Pairing, pairing
from reporting.report.section import Chart, Grid, Section
from reporting.report.shortcut.statistics import (
    ALIGNMENT,
    TASK,
    Shortcut,
    accuracy_matrix,
    across_runs,
    costs,
    over_checkpoints,
    over_models,
    separate_pairs,
)
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.families import AS_UNITS
from reporting.statistics.ordering import CHANCE
from reporting.trajectory.panels import GREY, INK, OKABE_ITO

QUESTION = "Is alignment a shortcut?"
MOST = 24
LOOKS = {ALIGNMENT: (OKABE_ITO[0], "circle"), TASK: (OKABE_ITO[4], "square")}


def section(gathered: Gathered, seed: int = 0) -> Section:
    """How well alignment ranks encoders, and checkpoints of a run, by what they are good for."""
    found, seconds = pairing(gathered), costs(gathered)
    runs, notes = over_checkpoints(gathered, seconds)
    ranked = bool(found.scores) and len(found.scores[0].values) > 3 and found.brain.shape[1] > 0
    rows = over_models(found, seconds) if ranked else []
    if not rows and not runs:
        note = "fewer than four encoders, or checkpoints of a run, have alignment and tasks"
        return Section("shortcut", QUESTION, "Not enough to say.", [], [note, *notes, *found.notes])
    items: list[Chart | Grid] = []
    if rows:
        items += [_accuracy(rows), *_cost(rows), _matrix(found), _table(rows)]
    else:
        notes.append("fewer than four encoders have alignment and tasks: none are ranked")
    if runs:
        items += _checkpoints(runs, gathered.encoders)
    else:
        notes.append("no training run with four evaluated checkpoints that share tasks")
    return Section("shortcut", QUESTION, _answer(found, rows, runs), items, [*notes, *found.notes])


def _answer(found: Pairing, rows: Sequence[Shortcut], runs: Mapping[str, list[Shortcut]]) -> str:
    parts = []
    own = [row for row in rows if row.kind == ALIGNMENT]
    if own:
        best = max(own, key=lambda row: _by_units(row).value)
        told, of = separate_pairs(found, best.score)
        parts.append(
            f"Of {len(own)} alignment scores {best.score} orders pairs best, as the {best.truth} "
            f"does: {_pairs_text(best)} ({short(CHANCE, 1)} by chance; the best of {len(own)}, "
            f"optimistic), which tells it from {told} of {of} others; taking its first, "
            f"{best.pick}, loses {short(best.loss)} of that score"
        )
    if runs:
        means = [row for row in across_runs(runs) if not math.isnan(row[1].value)]
        by_step = next((row for row in means if row[0] == "training step"), None)
        brain = [row for row in means if row[0] != "training step"]
        if brain and by_step:
            best_run = max(brain, key=lambda row: row[1].value)
            parts.append(
                f"Within {len(runs)} training run{'s' * (len(runs) != 1)} {best_run[0]} orders "
                f"checkpoints best of {len(brain)} scores (optimistic): {best_run[1]} of pairs, "
                f"{short(CHANCE, 1)} by chance; taking the later one is right in {by_step[1]}"
            )
    return ". ".join(parts) + "." if parts else "Not enough to say."


def _by_units(row: Shortcut) -> Estimate:
    """Share of pairs of families in order; of encoders, where families are too few."""
    return row.accuracy if math.isnan(row.by_family.value) else row.by_family


def _pairs_text(row: Shortcut) -> str:
    own = f"{row.accuracy} of those of {row.accuracy.n} {AS_UNITS}"
    if math.isnan(row.by_family.value):
        return own
    return f"{row.by_family} of pairs of {row.by_family.n} families, {own}"


def _accuracy(rows: Sequence[Shortcut]) -> Chart:
    figure = go.Figure()
    shown = [row for row in rows if row.kind == ALIGNMENT][:MOST]
    shown += [row for row in rows if row.kind == TASK][:MOST]
    rule(figure, [CHANCE, CHANCE], [-0.5, len(shown) - 0.5])
    labels = [row.score for row in shown]
    for kind, (colour, symbol) in LOOKS.items():
        places = [k for k, row in enumerate(shown) if row.kind == kind]
        if not places:
            continue
        own = [shown[k] for k in places]
        names = [row.score for row in own]
        shift = float(len(shown) - len(own) - places[0])  # the first of the figure is on top
        families = [row.by_family for row in own]
        some = any(not math.isnan(x.value) for x in families)
        if some:
            dots(figure, names, families, colour, symbol, f"{kind}, families", shift + 0.14)
        dots(figure, names, [row.accuracy for row in own], GREY, symbol, f"{kind}, encoders",
             shift - 0.14 * some)  # fmt: skip
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels[::-1]}
    title = f"share of pairs in the right order ({short(CHANCE, 1)} by chance, dashed)"
    finish(figure, 150 + 40 * len(labels), title)
    legend(figure)
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4], showline=False, ticks="", **ticks)
    room(figure, [x for row in shown for x in (row.by_family, row.accuracy)], CHANCE)
    truth = next((row.truth for row in rows if row.kind == ALIGNMENT), "global score")
    caption = (
        f"Pairs that each alignment score puts into the order of the {truth} (circles), and that "
        f"each task puts into the order of the other tasks (squares): families (coloured), then "
        f"{AS_UNITS} (grey). {short(CHANCE, 1)} is chance (dashed). Intervals: jackknife, of 95 % "
        f"for all {len(rows)} rows together (Bonferroni)."
    )
    return Chart("shortcut_accuracy", figure, caption)


def _cost(rows: Sequence[Shortcut]) -> list[Chart]:
    known = [row for row in rows if row.seconds > 0]
    if len(known) < 2:
        return []
    figure = go.Figure()
    height = 460
    x = [math.log10(row.seconds) for row in known]
    names = [row.score.removeprefix("probe/") for row in known]
    shares = [_by_units(row) for row in known]
    where = label_places(x, [share.value for share in shares], names, (780, height - 120))
    for kind, (colour, symbol) in LOOKS.items():
        own = [k for k, row in enumerate(known) if row.kind == kind]
        figure.add_scatter(
            x=[known[k].seconds for k in own],
            y=[shares[k].value for k in own],
            error_y=error_bars([shares[k] for k in own], colour),
            mode="markers+text",
            text=[names[k] if where[k] else "" for k in own],
            textposition=[where[k] or "middle right" for k in own],
            textfont={"size": 13, "color": INK},
            marker={"color": colour, "size": 11, "symbol": symbol},
            hovertext=[f"{names[k]}: {shares[k]}, {known[k].seconds:.3g} s" for k in own],
            hoverinfo="text",
            cliponaxis=False,
        )
    ends = [min(row.seconds for row in known), max(row.seconds for row in known)]
    rule(figure, ends, [CHANCE, CHANCE])
    finish(figure, height, "seconds for one encoder", "pairs in the right order")
    log_axis(figure, [row.seconds for row in known])
    caption = (
        f"What a ranking costs and how often it is right, over families (over "
        f"encoders below five families), with jackknife "
        f"intervals of 95 % for all {len(rows)} together: alignment (blue circles) and single "
        f"tasks (orange squares); {short(CHANCE, 1)} is chance (dashed). Names that would cover "
        "another are shown beside the pointer."
    )
    return [Chart("shortcut_cost", figure, caption)]


def _matrix(found: Pairing) -> Chart:
    table, texts = accuracy_matrix(found)
    table = table.set_axis([name.removeprefix("probe/") for name in table.columns], axis=1)
    figure = heat_map(table.iloc[:40], "pairs in order", texts[:40], 0.0, 1.0)
    more = f" {len(table) - 40} more scores are not drawn." * (len(table) > 40)
    caption = (
        "Share of pairs of encoders that each alignment score (rows) has in the order of each task "
        f"(columns), over the four or more that have both; {AS_UNITS}. White is chance "
        f"({short(CHANCE, 1)}); no cell is adjusted for the number of cells.{more}"
    )
    return Chart("shortcut_matrix", figure, caption)


def _table(rows: Sequence[Shortcut]) -> Grid:
    caption = (
        f"Ranking by one score: pairs of families in the right order, then pairs of {AS_UNITS}; "
        f"{short(CHANCE, 1)} by chance. What is lost by taking its first among all and among five "
        f"at random, and its cost. Intervals: jackknife, of 95 % for all {len(rows)} rows together "
        "(Bonferroni). The best of several rows looks better than it is."
    )
    return Grid("shortcut_table", pd.DataFrame([row.line() for row in rows]), caption)


def _checkpoints(runs: Mapping[str, list[Shortcut]], encoders: pd.DataFrame) -> list[Chart | Grid]:
    means = [row for row in across_runs(runs) if not math.isnan(row[1].value)]
    shown = _run_names(list(runs), encoders)
    lines = [{"encoder": shown[run]} | row.line() for run, rows in runs.items() for row in rows]
    unit = "runs" if len(runs) > 1 else "checkpoints of one run, which follow from each other"
    grid = Grid(
        "shortcut_checkpoints_table",
        pd.DataFrame(lines),
        f"Ranking the checkpoints of each run; {short(CHANCE, 1)} of pairs by chance. Intervals: "
        "jackknife over checkpoints, of 95 % for all scores of a run together; neighbours resemble "
        "each other, so that they are too narrow.",
    )
    if not means:
        return [grid]
    means = means[:MOST]
    labels = [row[0] for row in means]
    figure = go.Figure()
    rule(figure, [CHANCE, CHANCE], [-0.5, len(labels) - 0.5])
    dots(figure, labels, [row[1] for row in means], OKABE_ITO[0])
    finish(
        figure,
        130 + 30 * len(labels),
        "pairs of checkpoints in the right order (dashed: .5, chance)",
    )
    room(figure, [row[1] for row in means], CHANCE)
    figure.update_yaxes(showline=False, ticks="")
    last = [k for k, label in enumerate(labels) if label == "training step"]
    if last:
        value = means[last[0]][1].value
        line = {"color": GREY, "width": 1.2, "dash": "dot"}
        ends = [-0.5, len(labels) - 0.5]
        figure.add_scatter(x=[value] * 2, y=ends, mode="lines", line=line, hoverinfo="skip")
    caption = (
        "Pairs of checkpoints of a run in the order of its downstream score; 'training step' takes "
        f"the later one (dotted); {short(CHANCE, 1)} is chance (dashed). Mean and interval over "
        f"{unit} (n = {means[0][1].n}), of 95 % for all {len(means)} together."
    )
    return [Chart("shortcut_checkpoints", figure, caption), grid]


def _run_names(runs: Sequence[str], encoders: pd.DataFrame) -> dict[str, str]:
    """Runs by their encoder; by their folder where encoders do not tell them apart."""
    labels = {run: str(encoders.loc[encoders["run"] == run, "encoder"].iloc[0]) for run in runs}
    return labels if len(set(labels.values())) == len(runs) else short_names(runs)
