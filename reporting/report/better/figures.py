"""Scatter plots, forest and matrices of tasks and brains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reporting.drawing.pieces import (
    Looks,
    dots,
    encoder_looks,
    finish,
    heat_map,
    label_places,
    legend,
    rule,
)
from reporting.gathering.gathered import Gathered
from reporting.report.better.statistics import (
    ABOVE,
    ALL,
    Association,
    Pairing,
    task_matrix,
)
from reporting.report.section import Chart, Grid
from reporting.statistics.correlations import FEWEST
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.families import AS_UNITS
from reporting.statistics.matrices import Matrix
from reporting.trajectory.panels import GREY, INK, OKABE_ITO

MOST_SCATTERS, MOST_DOTS, MOST_CELLS = 6, 24, 40
HEIGHT = 560
SAID = {ALL: "over all encoders", ABOVE: "over those above the floor"}


def scatters(gathered: Gathered, found: Pairing, rows: Sequence[Association]) -> list[Chart]:
    looks = encoder_looks(gathered)
    score = found.scores[0]
    charts = []
    columns = list(dict.fromkeys(row.alignment for row in rows))
    for number, column in enumerate(columns[:MOST_SCATTERS]):
        x = found.brain.loc[score.values.index, column].dropna()
        figure = _scatter(found, column, x, looks)
        own = [r for r in rows if r.alignment == column and r.downstream == score.label]
        said = "; ".join(
            f"{SAID[r.encoders]}: r = {r.by_family} over {r.by_family.n} families, "
            f"{r.pearson} over {r.n} {AS_UNITS}"
            for r in own
        )
        lack = len(score.values) - len(x)
        drawn = f" {lack} more lack{'s' * (lack == 1)} this score." * bool(lack)
        known = float(found.ceilings.get(column, math.nan))
        ceiling = "no known ceiling" if math.isnan(known) else f"a ceiling of {short(known)}"
        caption = (
            f"{score.label} against {column} ({ceiling}); {said}. Hollow grey "
            "diamonds are controls. Dashed: the floor, and upright the ceiling where it is near."
            f"{drawn}"
        )
        charts.append(Chart(f"better_scatter_{number + 1}", figure, caption))
    return charts


def _scatter(found: Pairing, column: str, x: pd.Series, looks: Looks) -> go.Figure:
    score = found.scores[0]
    y = score.values.loc[x.index]
    beside = found.floors.get(column, pd.Series(dtype=float))
    beside = beside.reindex(score.floors.index).dropna()
    ceiling = float(found.ceilings.get(column, math.nan))
    figure = go.Figure()
    across = [*x, *beside]
    if not math.isnan(score.floor[0]):
        rule(figure, [min(across), max(across)], [score.floor[0]] * 2)
    up = [*y, *score.floors]
    if not math.isnan(ceiling) and ceiling < 1.5 * max(across):
        rule(figure, [ceiling] * 2, [min(up), max(up)])
    where = label_places([*x, *beside], [*y, *score.floors.loc[beside.index]],
                         [*x.index, *beside.index], (800, HEIGHT - 120))  # fmt: skip
    _points(figure, found, x, y, where, looks)
    _hollow(figure, beside, score.floors, where[len(x) :])
    return finish(figure, HEIGHT, column, score.label)


def _points(
    figure: go.Figure, found: Pairing, x: pd.Series, y: pd.Series, where: list[str],
    looks: Looks,
) -> None:  # fmt: skip
    families = found.encoders.loc[x.index, "family"].fillna("").astype(str)
    names = list(x.index)
    colours, symbols = ([look[name] for name in names] for look in looks)
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="markers+text",
        text=[name if spot else "" for name, spot in zip(names, where, strict=False)],
        textposition=[spot or "middle right" for spot in where[: len(names)]],
        textfont={"size": 13, "color": INK},
        marker={"color": colours, "size": 11, "symbol": symbols},
        customdata=[[name, family] for name, family in zip(names, families, strict=True)],
        hovertemplate="%{customdata[0]} (%{customdata[1]}): %{x:.3f}, %{y:.2f}<extra></extra>",
        cliponaxis=False,
    )


def _hollow(figure: go.Figure, x: pd.Series, y: pd.Series, where: list[str]) -> None:
    if not len(x):
        return
    figure.add_scatter(
        x=list(x),
        y=list(y.loc[x.index]),
        mode="markers+text",
        text=[name if spot else "" for name, spot in zip(x.index, where, strict=True)],
        textposition=[spot or "middle right" for spot in where],
        textfont={"size": 13, "color": GREY},
        marker={"color": GREY, "size": 11, "symbol": "diamond-open"},
        customdata=[[name, "control"] for name in x.index],
        hovertemplate="%{customdata[0]} (control): %{x:.3f}, %{y:.2f}<extra></extra>",
        cliponaxis=False,
    )


def forest(rows: Sequence[Association]) -> Chart:
    label = rows[0].downstream
    mine = [row for row in rows if row.downstream == label]
    columns = list(dict.fromkeys(row.alignment for row in mine))[:MOST_DOTS]
    figure = go.Figure()
    rule(figure, [0, 0], [-0.5, len(columns) - 0.5])
    looks = (
        (ALL, True, OKABE_ITO[0], "circle"), (ALL, False, OKABE_ITO[5], "diamond"),
        (ABOVE, True, OKABE_ITO[1], "square"), (ABOVE, False, OKABE_ITO[4], "triangle-up"),
    )  # fmt: skip
    series = [_of_kind(mine, kind, by_family) for kind, by_family, *_ in looks]
    shown = [
        k for k, own in enumerate(series) if any(not math.isnan(x.value) for x in own.values())
    ]
    places = np.linspace(0.24, -0.24, len(shown)) if len(shown) > 1 else [0.0]
    for spot, k in zip(places, shown, strict=True):
        kind, by_family, colour, symbol = looks[k]
        name = f"{kind}, {'families' if by_family else 'encoders'} as units"
        estimates = [series[k].get(column, Estimate(math.nan)) for column in columns]
        dots(figure, columns, estimates, colour, symbol, name, float(spot))
    finish(figure, 170 + 60 * len(columns), f"Pearson correlation with the {label}")
    legend(figure)
    figure.update_yaxes(showline=False, ticks="")
    caption = (
        "Correlation of each alignment score with the global score, over all encoders and over "
        f"those above the floor: family means first, then {AS_UNITS}; below five families there "
        f"are no family means. Bootstrap intervals, of 95 % for all {len(columns)} scores together "
        "(Bonferroni)."
    )
    return Chart("better_correlations", figure, caption)


def _of_kind(rows: Sequence[Association], kind: str, by_family: bool) -> dict[str, Estimate]:
    own = [row for row in rows if row.encoders == kind]
    return {row.alignment: row.by_family if by_family else row.pearson for row in own}


def grid(rows: Sequence[Association]) -> Grid:
    count = len({row.alignment for row in rows})
    caption = (
        "Correlations over families (the mean of each counts once; none below five families), then "
        f"over {AS_UNITS}, and the range when one family is left out. Intervals, Pearson's from "
        f"the bootstrap and Spearman's of Bonett and Wright, are of 95 % for all {count} alignment "
        "scores of a column together (Bonferroni). The ceiling is that of the alignment score."
    )
    return Grid("better_table", pd.DataFrame([row.line() for row in rows]), caption)


def matrices(found: Pairing, seed: int) -> list[Chart | Grid]:
    items: list[Chart | Grid] = []
    kinds = [ALL, ABOVE] if len(found.scores[0].above_floor) > 2 else [ALL]
    lines = []
    for kind in kinds:
        rows, columns, matrix = task_matrix(found, kind, seed)
        hover = _cells(rows, columns, matrix)
        table = pd.DataFrame(matrix.value, rows, columns).iloc[:MOST_CELLS]
        short_names = [name.removeprefix("probe/") for name in columns]
        drawn = heat_map(table.set_axis(short_names, axis=1), "Pearson r", hover[:MOST_CELLS])
        more = f" {len(rows) - MOST_CELLS} more rows are in the table." * (len(rows) > MOST_CELLS)
        caption = (
            f"Pearson's r of every alignment score and target (rows) with every task (columns), "
            f"{SAID[kind]} that have both, {FEWEST} at least; {AS_UNITS}.{more}"
        )
        items.append(Chart(f"better_matrix_{'all' if kind == ALL else 'above'}", drawn, caption))
        whole = pd.DataFrame(hover, rows, short_names).map(lambda text: text.split(": ", 1)[1])
        lines.append(whole.rename_axis("alignment").reset_index().assign(encoders=kind))
    caption = (
        "Pearson correlation of each alignment score and target with each task (interval; n); "
        f"{AS_UNITS}. Each interval is of its cell alone and not adjusted: of forty unrelated "
        "cells, one has an interval above 0."
    )
    return [*items, Grid("better_matrix", pd.concat(lines, ignore_index=True), caption)]


def _cells(rows: list[str], columns: list[str], matrix: Matrix) -> np.ndarray:
    texts = np.empty(matrix.value.shape, dtype=object)
    for i, j in np.ndindex(*texts.shape):
        ends = short(float(matrix.low[i, j])), short(float(matrix.high[i, j]))
        value = short(float(matrix.value[i, j]))
        texts[i, j] = (
            f"{rows[i]}, {columns[j].removeprefix('probe/')}: "
            f"{value} ({ends[0]} … {ends[1]}; {matrix.n[i, j]})"
        )
    return texts
