"""What drives alignment: training data, objective, family, size, hours?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

from alignment.inference import fdr_bh
from reporting.comparison.correlations import FEWEST, correlate
from reporting.comparison.drawing import (
    dots,
    encoder_colours,
    encoder_symbols,
    log_axis,
    panels,
    place,
)
from reporting.comparison.estimates import Estimate, short
from reporting.comparison.gathered import Gathered
from reporting.comparison.groups import Comparison, compare_groups, difference, shared_share
from reporting.comparison.section import Chart, Grid, Section
from reporting.comparison.wide import (
    alignment_heads,
    ceilings,
    compared,
    missing_notes,
    over_encoders,
)
from reporting.panels import INK
from reporting.tables import p_text

QUESTION = "What drives it?"
GROUPS = {"trained_on": "training data", "objective": "objective", "family": "family"}
NUMBERS = {"parameters": "parameters", "hours": "hours of training audio"}
MOST_PANELS, MOST_GROUPS = 4, 12
ENTANGLED = 0.9
Looks = tuple[dict[str, str], dict[str, str]]
"""Colour and mark of every encoder."""


@dataclass(frozen=True)
class Factor:
    """One field of the encoders against one alignment score; ``groups`` or ``slope`` is known."""

    score: str
    field: str
    n: int
    p: float
    groups: Comparison | None = None
    slope: Estimate | None = None


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Alignment by training data, objective, family, size and hours of training audio."""
    encoders = compared(gathered)
    heads = alignment_heads(gathered)
    brain = over_encoders(heads, list(encoders.index)).dropna(axis=1, how="all")
    known = _known(encoders)
    notes = [*_field_notes(encoders, known), *_entangled(known), *missing_notes(brain)]
    found = list(factors(brain, known, seed))
    if not found:
        note = "no alignment score that encoders of two groups, or of five sizes, have"
        return Section("drivers", QUESTION, "Not enough to say.", [], [note, *notes])
    looks = encoder_colours(gathered), encoder_symbols(gathered)
    items: list[Chart | Grid] = [
        *_group_charts(looks, brain, known, found),
        *_number_charts(looks, brain, known, found),
        _table(found, ceilings(heads)),
    ]
    items += _pairs(brain, known, found)
    hidden = brain.shape[1] - MOST_PANELS
    if hidden > 0:
        notes.append(f"{hidden} more scores are in the tables, not drawn")
    return Section("drivers", QUESTION, _answer(found), items, notes)


def _known(encoders: pd.DataFrame) -> pd.DataFrame:
    """Fields with empty texts and numbers that are not above 0 as missing."""
    texts = {name: encoders[name].astype(object) for name in GROUPS}
    known = {name: t.where(t.notna() & (t.astype(str) != "")) for name, t in texts.items()}
    numbers = {name: pd.to_numeric(encoders[name], errors="coerce") for name in NUMBERS}
    return pd.DataFrame(known | {name: x.where(x > 0) for name, x in numbers.items()})


def factors(brain: pd.DataFrame, known: pd.DataFrame, seed: int = 0) -> Iterator[Factor]:
    """Every alignment score by every field over the encoders of which both are known.

    Groups: eta² and its permutation p; a group of one encoder counts. Numbers: Spearman's
    correlation with their bootstrap interval, p from Fisher's z.
    """
    for score in brain:
        for field in GROUPS:
            both = pd.concat([brain[score], known[field]], axis=1).dropna()
            labels = both[field].astype(str).tolist()
            if len(set(labels)) < 2 or len(labels) <= len(set(labels)):
                continue
            made = compare_groups(both[score].to_numpy(float), labels, seed=seed)
            yield Factor(str(score), field, len(both), made.p, groups=made)
        for field in NUMBERS:
            both = pd.concat([brain[score], known[field]], axis=1).dropna()
            if len(both) < FEWEST or both[field].nunique() < 3:
                continue
            x, y = both[score].to_numpy(float), np.log10(both[field].to_numpy(float))
            slope = correlate(x, y, "spearman", seed=seed)
            yield Factor(str(score), field, len(both), _p_of(slope), slope=slope)


def _p_of(slope: Estimate) -> float:
    """Two-sided p of a Spearman correlation of 0, ``z sqrt((n - 3) / 1.06)`` normal (Fieller)."""
    if math.isnan(slope.value) or slope.n < 4:
        return math.nan
    z = math.atanh(min(max(slope.value, -1 + 1e-9), 1 - 1e-9)) * math.sqrt((slope.n - 3) / 1.06)
    return math.erfc(abs(z) / math.sqrt(2))


def _answer(found: Sequence[Factor]) -> str:
    parts = []
    first = found[0].score
    for row in (row for row in found if row.score == first):
        if row.groups is not None and not math.isnan(row.groups.share):
            means = row.groups.means
            best = max(means.items(), key=lambda item: item[1].value)[0]
            parts.append(
                f"{GROUPS[row.field]} explains {short(row.groups.share)} of its variance over "
                f"encoders ({short(row.groups.expected)} by chance, p {p_text(row.p)}; highest "
                f"mean: {best}, n = {row.n})"
            )
        elif row.slope is not None:
            parts.append(f"rho with {NUMBERS[row.field]} is {row.slope}, n = {row.n}")
    return f"{first}: " + "; ".join(parts) + "." if parts else "Not enough to say."


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


def _entangled(known: pd.DataFrame) -> list[str]:
    """Fields that go together so closely that their effects cannot be told apart."""
    notes = []
    for a, b in combinations(GROUPS, 2):
        both = known[[a, b]].dropna()
        if len(both) < 3:
            continue
        share = shared_share(both[a].astype(str).tolist(), both[b].astype(str).tolist())
        if share > ENTANGLED:
            notes.append(
                f"{GROUPS[a]} and {GROUPS[b]} go together (Cramér's V {short(share)}): their "
                "effects cannot be told apart here"
            )
    return notes


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
    p = torch.tensor([row.p for row in found], dtype=torch.float64)
    adjusted = fdr_bh(p).tolist()
    lines = []
    for row, q in zip(found, adjusted, strict=True):
        what = (GROUPS | NUMBERS)[row.field]
        share, chance, groups = "–", "–", "–"
        if row.groups is not None:
            share, chance = short(row.groups.share), short(row.groups.expected)
            groups = "; ".join(f"{k} {v}, n = {v.n}" for k, v in row.groups.means.items())
        lines.append({
            "alignment": row.score, "field": what, "n": str(row.n), "eta²": share,
            "by chance": chance, "rho": "–" if row.slope is None else str(row.slope),
            "p": p_text(row.p), "p adjusted": p_text(q), "means": groups,
            "ceiling": short(float(ceiling.get(row.score, math.nan))),
        })  # fmt: skip
    caption = (
        "How alignment depends on what encoders are. eta²: share of the variance over encoders "
        "between groups, beside its mean when encoders are dealt at random; rho: Spearman's "
        "correlation with the number; p adjusted for all rows (Benjamini-Hochberg)."
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
    caption = "Differences between the means of two groups, with Welch's interval."
    return [Grid("drivers_differences", pd.DataFrame(lines), caption)]
