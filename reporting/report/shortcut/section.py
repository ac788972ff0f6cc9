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
from reporting.statistics.estimates import short
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
        best = max(own, key=lambda row: row.accuracy.value)
        told, of = separate_pairs(found, best.score)
        parts.append(
            f"Of {len(own)} alignment scores {best.score} orders pairs of encoders best: "
            f"{best.accuracy} of them as the {best.truth} does (n = {best.accuracy.n}), which "
            f"tells it from {told} of {of} others; taking its first, {best.pick}, loses "
            f"{short(best.loss)} of that score"
        )
    if runs:
        means = [row for row in across_runs(runs) if not math.isnan(row[1].value)]
        by_step = next((row for row in means if row[0] == "training step"), None)
        brain = [row for row in means if row[0] != "training step"]
        if brain and by_step:
            best_run = max(brain, key=lambda row: row[1].value)
            parts.append(
                f"Within {len(runs)} training run{'s' * (len(runs) != 1)} {best_run[0]} orders "
                f"checkpoints best of {len(brain)} scores: {best_run[1]} of pairs; taking the "
                f"later one is right in {by_step[1]}"
            )
    return ". ".join(parts) + "." if parts else "Not enough to say."


def _accuracy(rows: Sequence[Shortcut]) -> Chart:
    figure = go.Figure()
    shown = [row for row in rows if row.kind == ALIGNMENT][:MOST]
    shown += [row for row in rows if row.kind == TASK][:MOST]
    rule(figure, [0.5, 0.5], [-0.5, len(shown) - 0.5])
    labels = [row.score for row in shown]
    for kind, (colour, symbol) in LOOKS.items():
        places = [k for k, row in enumerate(shown) if row.kind == kind]
        if places:
            own = [shown[k] for k in places]
            names = [row.score for row in own]
            # The first of the figure is on top.
            dots(figure, names, [row.accuracy for row in own], colour, symbol, kind,
                 shift=len(shown) - len(own) - places[0])  # fmt: skip
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels[::-1]}
    finish(figure, 130 + 30 * len(labels), "share of pairs of encoders in the right order")
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4], showline=False, ticks="", **ticks)
    room(figure, [row.accuracy for row in shown], 0.5)
    truth = next((row.truth for row in rows if row.kind == ALIGNMENT), "global score")
    caption = (
        f"Pairs of encoders that each alignment score puts into the order of the {truth} (blue), "
        "and that each task puts into the order of the other tasks (orange squares); .5 is chance. "
        "Intervals: jackknife over encoders."
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
    where = label_places(x, [row.accuracy.value for row in known], names, (780, height - 120))
    for kind, (colour, symbol) in LOOKS.items():
        own = [k for k, row in enumerate(known) if row.kind == kind]
        figure.add_scatter(
            x=[known[k].seconds for k in own],
            y=[known[k].accuracy.value for k in own],
            error_y=error_bars([known[k].accuracy for k in own], colour),
            mode="markers+text",
            text=[names[k] if where[k] else "" for k in own],
            textposition=[where[k] or "middle right" for k in own],
            textfont={"size": 13, "color": INK},
            marker={"color": colour, "size": 11, "symbol": symbol},
            hovertext=[f"{names[k]}: {known[k].accuracy}, {known[k].seconds:.3g} s" for k in own],
            hoverinfo="text",
            cliponaxis=False,
        )
    finish(figure, height, "seconds for one encoder", "pairs in the right order")
    log_axis(figure, [row.seconds for row in known])
    caption = (
        "What a ranking costs and how often it is right, with jackknife intervals over encoders: "
        "alignment (blue circles) and single tasks (orange squares). Names that would cover "
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
        f"(columns), over the four or more that have both; white is chance.{more}"
    )
    return Chart("shortcut_matrix", figure, caption)


def _table(rows: Sequence[Shortcut]) -> Grid:
    caption = (
        "Ranking encoders by one score: pairs in the right order (jackknife over encoders), what "
        "is lost by taking its first among all and among five at random, and its cost. Each "
        "interval is of its own row: the best of several rows looks better than it is."
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
        "Ranking the checkpoints of each run. Intervals: jackknife over checkpoints; neighbours "
        "resemble each other, so that they are too narrow.",
    )
    if not means:
        return [grid]
    means = means[:MOST]
    labels = [row[0] for row in means]
    figure = go.Figure()
    rule(figure, [0.5, 0.5], [-0.5, len(labels) - 0.5])
    dots(figure, labels, [row[1] for row in means], OKABE_ITO[0])
    finish(figure, 130 + 30 * len(labels), "share of pairs of checkpoints in the right order")
    room(figure, [row[1] for row in means], 0.5)
    figure.update_yaxes(showline=False, ticks="")
    last = [k for k, label in enumerate(labels) if label == "training step"]
    if last:
        value = means[last[0]][1].value
        line = {"color": GREY, "width": 1.2, "dash": "dot"}
        ends = [-0.5, len(labels) - 0.5]
        figure.add_scatter(x=[value] * 2, y=ends, mode="lines", line=line, hoverinfo="skip")
    caption = (
        "Pairs of checkpoints of a run in the order of its downstream score; 'training step' takes "
        f"the later one (dotted). Mean and interval over {unit} (n = {means[0][1].n})."
    )
    return [Chart("shortcut_checkpoints", figure, caption), grid]


def _run_names(runs: Sequence[str], encoders: pd.DataFrame) -> dict[str, str]:
    """Runs by their encoder; by their folder where encoders do not tell them apart."""
    labels = {run: str(encoders.loc[encoders["run"] == run, "encoder"].iloc[0]) for run in runs}
    return labels if len(set(labels.values())) == len(runs) else short_names(runs)
