"""What drives alignment: training data, objective, family, size, hours?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import pandas as pd
import plotly.graph_objects as go
import torch

from alignment.inference import fdr_bh
from reporting.drawing.pieces import (
    Looks,
    dots,
    encoder_looks,
    log_axis,
    panels,
    place,
)
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    alignment_heads,
    ceilings,
    missing_notes,
    over_encoders,
    select_compared,
)
from reporting.report.drivers.statistics import (
    GROUPS,
    NUMBERS,
    Factor,
    entangled,
    factors,
    known_fields,
)
from reporting.report.section import Chart, Grid, Section
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.groups import Comparison, difference
from reporting.tables import p_text
from reporting.trajectory.panels import INK

QUESTION = "What drives it?"
MOST_PANELS, MOST_GROUPS = 4, 12
SURE = 0.05


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Alignment by training data, objective, family, size and hours of training audio."""
    encoders = select_compared(gathered)
    heads = alignment_heads(gathered)
    brain = over_encoders(heads, list(encoders.index)).dropna(axis=1, how="all")
    known = known_fields(encoders)
    notes = [*_field_notes(encoders, known), *_entangled_notes(known), *missing_notes(brain)]
    found = list(factors(brain, known, seed))
    if not found:
        note = "no alignment score that encoders of two groups, or of five sizes, have"
        return Section("drivers", QUESTION, "Not enough to say.", [], [note, *notes])
    looks = encoder_looks(gathered)
    items: list[Chart | Grid] = [
        *_group_charts(looks, brain, known, found),
        *_number_charts(looks, brain, known, found),
        _table(found, ceilings(heads)),
    ]
    items += _pairs(brain, known, found)
    hidden = brain.shape[1] - MOST_PANELS
    if hidden > 0:
        notes.append(f"{hidden} more scores are in the tables, not drawn")
    return Section("drivers", QUESTION, _answer(found, known), items, notes)


def _answer(found: Sequence[Factor], known: pd.DataFrame) -> str:
    rows = zip(found, _adjust(found), strict=True)
    first = [(row, q) for row, q in rows if row.score == found[0].score]
    grouped = [(row, row.groups, q) for row, q in first if row.groups and not math.isnan(row.p)]
    sentences = []
    if grouped:
        parts = [
            f"{GROUPS[row.field]} {short(made.share)} ({short(made.expected)} by chance, "
            f"p {p_text(q)}, n = {row.n}{_highest(made) if q < SURE else ''})"
            for row, made, q in grouped
        ]
        what = f"Share of the variance of {found[0].score} over encoders that groups explain"
        sentences.append(f"{what}: {', '.join(parts)}")
    whole = [row for row, *_ in grouped if not math.isnan(row.p_families)]
    if whole:
        parts = [f"{GROUPS[row.field]} p {p_text(row.p_families)}" for row in whole]
        sentences.append(f"With families for units: {', '.join(parts)}")
    pairs = entangled(known) if len(grouped) > 1 else []
    if pairs:
        names = [GROUPS[name] for name in GROUPS if any(name in pair[:2] for pair in pairs)]
        told = f"{', '.join(names[:-1])} and {names[-1]}".capitalize()
        sentences.append(f"{told} go together and cannot be told apart")
    for row, q in first:
        if row.slope is not None:
            what = f"rho with {NUMBERS[row.field]} {row.slope}"
            sentences.append(f"{what}, p {p_text(q)}, n = {row.n}".capitalize())
    return ". ".join(sentences) + "." if sentences else "Not enough to say."


def _highest(made: Comparison) -> str:
    """The group of the highest mean, of those of two encoders or more."""
    means = {name: mean.value for name, mean in made.means.items() if mean.n > 1}
    return f"; highest: {max(means, key=lambda name: means[name])}" if len(means) > 1 else ""


def _adjust(found: Sequence[Factor]) -> list[float]:
    return fdr_bh(torch.tensor([row.p for row in found], dtype=torch.float64)).tolist()


def _field_notes(encoders: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    notes = []
    for field, what in (GROUPS | NUMBERS).items():
        lacking = encoders.index[known[field].isna()].tolist()
        if lacking:
            listed = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
            notes.append(
                f"{what} not known of {len(lacking)} of {len(encoders)} encoders ({listed})"
            )
    return notes


def _entangled_notes(known: pd.DataFrame) -> list[str]:
    return [
        f"{GROUPS[a]} and {GROUPS[b]} go together (Cramér's V {short(share)}): their effects "
        "cannot be told apart here"
        for a, b, share in entangled(known)
    ]


def _group_charts(
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
        said = "; ".join(
            f"{row.score}: eta² {short(row.groups.share)} "
            f"({short(row.groups.expected)} by chance), p {p_text(row.p)}, n = {row.n}"
            for row in own
            if row.groups is not None
        )
        more = groups.nunique() - len(names)
        rest = f" {more} smaller groups are not drawn." * (more > 0)
        caption = f"Alignment by {what}: encoders, and means with Student's interval. {said}.{rest}"
        charts.append(Chart(f"drivers_{field}", figure, caption))
    return charts


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
    assert row.groups is not None
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
    means = [row.groups.means.get(name, missing) for name in names]
    dots(figure, names, means, INK, "diamond", "", 0.1, **where)


def _number_charts(
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
        said = "; ".join(f"{row.score}: rho = {row.slope}, n = {row.n}" for row in own)
        charts.append(Chart(f"drivers_{field}", figure, f"Alignment by {what}. {said}."))
    return charts


def _table(found: Sequence[Factor], ceiling: pd.Series) -> Grid:
    lines = []
    for row, q in zip(found, _adjust(found), strict=True):
        what = (GROUPS | NUMBERS)[row.field]
        share, chance, groups = "–", "–", "–"
        if row.groups is not None:
            share, chance = short(row.groups.share), short(row.groups.expected)
            groups = "; ".join(f"{k} {v}, n = {v.n}" for k, v in row.groups.means.items())
        lines.append({
            "alignment": row.score, "field": what, "n": str(row.n), "eta²": share,
            "by chance": chance, "rho": "–" if row.slope is None else str(row.slope),
            "p": p_text(row.p), "p adjusted": p_text(q), "p by family": p_text(row.p_families),
            "means": groups,
            "ceiling": short(float(ceiling.get(row.score, math.nan))),
        })  # fmt: skip
    caption = (
        "How alignment depends on what encoders are. eta²: share of the variance over encoders "
        "between groups, beside its mean when encoders are dealt at random; rho: Spearman's "
        "correlation with the number. p: encoders shuffled; adjusted for all rows (Benjamini-"
        "Hochberg); by family: the mean of each family in a group shuffled, since encoders of a "
        "family resemble each other."
    )
    return Grid("drivers_table", pd.DataFrame(lines), caption)


def _pairs(brain: pd.DataFrame, known: pd.DataFrame, found: Sequence[Factor]) -> list[Grid]:
    lines = []
    for row in (row for row in found if row.field in ("trained_on", "objective")):
        both = pd.concat([brain[row.score], known[row.field]], axis=1).dropna()
        parts = {str(k): v.to_numpy(float) for k, v in both.groupby(row.field)[row.score]}
        for a, b in combinations(parts, 2):
            made = difference(parts[a], parts[b])
            about = {"alignment": row.score, "field": GROUPS[row.field]}
            sizes = f"{len(parts[a])}, {len(parts[b])}"
            lines.append(about | {"groups": f"{a} − {b}", "n": sizes, "difference": str(made)})
    if not lines:
        return []
    caption = (
        "Differences between the means of two groups of encoders, with Welch's interval, which is "
        "of each alone: of twenty, one misses the truth."
    )
    return [Grid("drivers_differences", pd.DataFrame(lines), caption)]
