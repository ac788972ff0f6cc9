"""What was gathered: which encoder has which benchmark, and what makes scores hard to compare."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from reporting.gathering.doubts import STATES, cells, unequal
from reporting.gathering.gathered import Gathered
from reporting.gathering.naming import short_names
from reporting.gathering.reading import several
from reporting.report.section import Chart, Grid, Section
from reporting.trajectory.panels import INK

MARKS = dict(zip(STATES, ("✓", "v", "×", ""), strict=True))
SHADES = dict(zip(STATES, ("#56B4E9", "#F0E442", "#D55E00", "#f2f2f2"), strict=True))
SHOWN = ["encoder", "step", "family", "trained_on", "objective", "parameters", "hours", "control"]
MOST_MARKED = 1200
"""Cells with a letter in each; of more, colour and what is shown beside the pointer."""


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Encoders by benchmarks, and tables of what is lacking, twice, unequal or failed."""
    states = cells(gathered.heads, gathered.encoders, gathered.failures)
    encoders = gathered.encoders
    items: list[Chart | Grid] = [
        Chart(
            "cells",
            _map(states),
            "Encoders that are compared, by benchmark. ✓ scored; v scored with other settings; "
            "× failed; empty: no score.",
        ),
        Grid(
            "encoders",
            encoders.loc[encoders["final"], [*SHOWN, "fingerprint"]]
            .assign(fingerprint=lambda table: table["fingerprint"].str[:8])
            .reset_index(),
            "What is known of each encoder: hours are of sound in pretraining.",
        ),
        *_doubts(gathered),
    ]
    return Section(
        "coverage", "What was gathered?", _answer(gathered, states), items, gathered.notes
    )


def _answer(gathered: Gathered, states: pd.DataFrame) -> str:
    rows, heads = len(gathered.scores), gathered.heads
    scored, of = int((states == "scored").to_numpy().sum()), states.size
    runs = gathered.scores["run"].nunique()
    simulated = heads.loc[heads["simulated"], "benchmark"].nunique()
    made = f", {simulated} of them simulated" if simulated else ""
    return (
        f"{rows:,} scores of {len(states):,} encoders ({len(gathered.encoders):,} with all "
        f"training steps) on {heads['benchmark'].nunique():,} benchmarks{made}, from {runs:,} "
        f"runs; {scored:,} of {of:,} cells (encoder × benchmark) have a score."
    )


def _map(states: pd.DataFrame) -> go.Figure:
    codes = states.apply(lambda column: column.map(STATES.index)).to_numpy()
    edges = [k / len(STATES) for k in range(len(STATES) + 1)]
    colours = [
        (edge, SHADES[state])
        for state, *both in zip(STATES, edges[:-1], edges[1:], strict=True)
        for edge in both
    ]
    marked = states.size <= MOST_MARKED
    figure = go.Figure(
        go.Heatmap(
            z=codes,
            x=list(states.columns),
            y=list(states.index),
            zmin=-0.5,
            zmax=len(STATES) - 0.5,
            colorscale=colours,
            showscale=False,
            xgap=1,
            ygap=1,
            text=states.map(MARKS.__getitem__).to_numpy() if marked else None,
            texttemplate="%{text}" if marked else None,
            customdata=states.to_numpy(),
            hovertemplate="%{y}<br>%{x}<br>%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(side="top", tickangle=-60, automargin=True, showgrid=False, color=INK)
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, dtick=1)
    figure.update_layout(height=210 + 24 * len(states), margin={"t": 190, "b": 10})
    return figure


def _doubts(gathered: Gathered) -> list[Grid]:
    odd = unequal(gathered.scores)
    odd = odd.assign(
        what=[several(w, 6) if isinstance(w, tuple) else str(w) for w in odd["what"]],
        encoders=[several(who, 6) for who in odd["encoders"]],
    )
    short = short_names(gathered.scores["run"].cat.categories)
    tables = {
        "unequal": (odd, "Subjects, targets, sizes or ceilings that are not the same for all."),
        "versions": (
            gathered.versions,
            "Benchmarks of one name that were run with other settings.",
        ),
        "duplicates": (
            gathered.duplicates.replace({"run": short, "kept": short}),
            "Scores found twice: the later ones (“kept”) count; the largest difference of values.",
        ),
        "failures": (gathered.failures, "What could not be scored, and why."),
    }
    return [Grid(key, table, caption) for key, (table, caption) in tables.items() if len(table)]
