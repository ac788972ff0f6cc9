"""Alignment by what encoders are, drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from reporting.drawing.pieces import Looks, dots, log_axis, panels, place
from reporting.report.drivers.statistics import (
    GROUPS,
    NUMBERS,
    Factor,
    adjust,
    of_encoders,
    of_families,
)
from reporting.report.section import Chart
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.families import AS_UNITS
from reporting.tables import p_text
from reporting.trajectory.panels import INK

MOST_PANELS, MOST_GROUPS = 4, 12


def group_charts(
    looks: Looks, brain: pd.DataFrame, known: pd.DataFrame, found: Sequence[Factor]
) -> list[Chart]:
    charts = []
    for field, what in GROUPS.items():
        own = [row for row in found if row.field == field][:MOST_PANELS]
        if not own:
            continue
        groups = known[field].dropna().astype(str)
        names = groups.value_counts().index[:MOST_GROUPS].tolist()
        figure = panels([row.score for row in own], height=max(260, 110 + 32 * len(names)))
        for number, row in enumerate(own):
            where = place(number, len(own))
            _draw_groups(figure, row, names, brain[row.score].dropna(), groups, looks, where)
        more = groups.nunique() - len(names)
        rest = f" {more} smaller groups are not drawn." * (more > 0)
        caption = (
            f"Alignment by {what}: encoders, and means over families in a group (diamonds), of "
            f"encoders where there are none, with Student's interval, of 95 % for all rows of the "
            f"table together. {_said(own, found)}.{rest}"
        )
        charts.append(Chart(f"drivers_{field}", figure, caption))
    return charts


def _said(own: Sequence[Factor], found: Sequence[Factor]) -> str:
    """eta² or rho and the adjusted p of every score: of families first."""
    parts = []
    sides = (("families", of_families), (AS_UNITS, of_encoders))
    adjusted = [dict(zip(map(id, found), adjust(found, units), strict=True)) for _, units in sides]
    for row in own:
        texts = []
        for (name, units), p in zip(sides, adjusted, strict=True):
            made, q = units(row), p_text(p[id(row)])
            if made.groups is not None:
                eta = f"eta² {short(made.groups.share)} ({short(made.groups.expected)} by chance)"
                texts.append(f"{eta}, adjusted p {q}, {made.n} {name}")
            elif made.slope is not None:
                texts.append(f"rho = {made.slope}, adjusted p {q}, {made.n} {name}")
        parts.append(f"{row.score}: {'; '.join(texts)}")
    return ". ".join(parts)


def _marks(names: Sequence[str], looks: Looks, size: int) -> dict[str, object]:
    colours, symbols = ([look[name] for name in names] for look in looks)
    return {"color": colours, "symbol": symbols, "size": size}


def _draw_groups(
    figure: go.Figure,
    row: Factor,
    names: Sequence[str],
    values: pd.Series,
    groups: pd.Series,
    looks: Looks,
    where: dict[str, int],
) -> None:
    made = row.families.groups or row.encoders.groups
    assert made is not None
    own = groups[groups.isin(names) & groups.index.isin(values.index)]
    height = {name: len(names) - 1 - k for k, name in enumerate(names)}
    figure.add_scatter(
        x=values.loc[own.index].tolist(),
        y=[height[group] - 0.2 for group in own],
        mode="markers",
        marker=_marks(own.index, looks, 7),
        opacity=0.75,
        customdata=[[name, group] for name, group in zip(own.index, own, strict=True)],
        hovertemplate="%{customdata[0]} (%{customdata[1]}): %{x:.3f}<extra></extra>",
        **where,
    )
    missing = Estimate(math.nan)
    means = [made.means.get(name, missing) for name in names]
    dots(figure, names, means, INK, "diamond", "", 0.1, **where)


def number_charts(
    looks: Looks, brain: pd.DataFrame, known: pd.DataFrame, found: Sequence[Factor]
) -> list[Chart]:
    charts = []
    for field, what in NUMBERS.items():
        own = [row for row in found if row.field == field][:MOST_PANELS]
        if not own:
            continue
        figure = panels([row.score for row in own])
        for number, row in enumerate(own):
            where = place(number, len(own))
            both = pd.concat([brain[row.score], known[field]], axis=1).dropna()
            figure.add_scatter(
                x=both[field].tolist(),
                y=both[row.score].tolist(),
                mode="markers",
                marker=_marks(both.index, looks, 9),
                customdata=[[name] for name in both.index],
                hovertemplate="%{customdata[0]}: %{x:.3g}, %{y:.3f}<extra></extra>",
                **where,
            )
            log_axis(figure, both[field], **where)
            figure.update_xaxes(title={"text": what, "standoff": 6}, **where)
        caption = f"Alignment by {what}: encoders. {_said(own, found)}."
        charts.append(Chart(f"drivers_{field}", figure, caption))
    return charts
