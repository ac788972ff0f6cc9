"""Tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reporting.console import terminal
from reporting.downstream import frozen_score, task_scores
from reporting.report.section import Section
from reporting.tables import (
    BEST,
    above_surrogates,
    as_row,
    headlines,
    number,
    p_text,
    score_table,
    trajectory_table,
)

MOST_NOTES = 4


def print_trajectory(
    scores: pd.DataFrame, console: Console | None = None, floors: pd.DataFrame | None = None
) -> None:
    """Show :func:`trajectory_table` on the terminal, beside it the scores of ``floors``."""
    heads = score_table([]) if floors is None else above_surrogates(headlines(floors))
    below = {(row.benchmark, row.metric): row for row in heads.itertuples()}
    table = Table(title="Trajectory (mean over targets)", title_justify="left")
    for name in ("benchmark", *["floor"] * bool(below), "step 0", BEST, "end", "gain", "ceiling"):
        side: Literal["left", "right"] = "left" if name == "benchmark" else "right"
        table.add_column(name, justify=side, overflow="fold")
    for row in trajectory_table(scores).itertuples():
        note = f"{row.metric}, simulated" if row.simulated else row.metric
        when = "" if pd.isna(row.best_step) else f"step {row.best_step:,}, of {row.steps}, "
        floor = below.get((row.benchmark, row.metric))
        beside = "–" if floor is None else _cell(number(floor.value), floor.encoder)
        table.add_row(
            _cell(row.benchmark, note),
            *[beside] * bool(below),
            _cell(number(row.start), row.start_layer),
            _cell(number(row.best), f"{when}{row.best_layer}"),
            _cell(number(row.end), row.end_layer),
            number(row.gain, signed=True),
            number(row.ceiling),
        )
    (console or terminal()).print(table if table.rows else "No scores yet.")


def _cell(value: str, note: str) -> str:
    return f"{escape(value)}\n[dim]{escape(note)}[/dim]"


def print_scores(
    scores: pd.DataFrame, failures: Iterable[object] = (), console: Console | None = None
) -> None:
    """Show the headline of every benchmark, and every failure with its reason, in red.

    Of metrics with surrogates, what lies above these.
    Encoder, interval, p-value, chance and ceiling have a column where some row has one, or more
    than one encoder.
    """
    console = console or terminal()
    heads = above_surrogates(headlines(scores))
    columns = {
        "encoder": [_origin(row) for row in heads.itertuples()],
        "benchmark": heads["label"],
        "metric": heads["metric"],
        "layer": heads["layer"],
        "value": map(number, heads["value"]),
        "95 % interval": [_interval(*bounds) for bounds in heads[["ci_low", "ci_high"]].to_numpy()],
        "p": map(p_text, heads["p"]),
        "chance": map(number, heads["chance"]),
        "ceiling": map(number, heads["ceiling"]),
        "n": ["–" if pd.isna(n) else f"{n:,}" for n in heads["n"]],
        "seconds": ["–" if pd.isna(x) else f"{x:.1f}" for x in heads["seconds"]],
    }
    absent = {
        "encoder": len(heads[["encoder", "step"]].drop_duplicates()) < 2,
        "95 % interval": heads["ci_low"].isna().all(),
        "p": heads["p"].isna().all(),
        "chance": heads["chance"].isna().all(),
        "ceiling": heads["ceiling"].isna().all(),
    }
    shown = {name: values for name, values in columns.items() if not absent.get(name)}
    table = Table()
    for name in shown:
        table.add_column(name, overflow="fold")
    for cells in zip(*shown.values(), strict=True):
        table.add_row(*map(escape, cells))
    if table.rows:
        console.print(table)
    for name in scores.loc[~scores["benchmark"].isin(heads["benchmark"]), "benchmark"].unique():
        count = int((scores["benchmark"] == name).sum())
        console.print(escape(f"{name}: {count:,} rows without a headline, shown in figures only"))
    for failure in map(as_row, failures):
        subject = failure.get("benchmark") or failure.get("encoder") or "unknown"
        text = escape(f"{subject} failed: {failure.get('error')}")
        console.print(f"[red]{text}[/red]", highlight=False)


def print_tasks(
    scores: pd.DataFrame, controls: pd.DataFrame | None = None, console: Console | None = None
) -> None:
    """Show the score of every downstream task above chance and against the frozen reference.

    One probe stands for a task (:func:`reporting.downstream.task_scores`). With controls, what
    the same probe and measure give without what the encoder has learned.
    """
    tasks = task_scores(scores)
    if tasks.empty:
        return
    several = len(tasks[["encoder", "step"]].drop_duplicates()) > 1
    heads = None if controls is None or controls.empty else headlines(controls)
    names = [] if heads is None else list(heads["encoder"].unique())
    columns = ["encoder"] * several + ["task", "probe", "value", "chance", *names, "normalised"]
    referred = bool(tasks["z"].notna().any())
    table = Table(title="Downstream tasks", title_justify="left")
    for name in [*columns, *["z"] * referred]:
        table.add_column(name, overflow="fold")
    for row in tasks.itertuples():
        found = [] if heads is None else [_control(heads, name, row) for name in names]
        numbers = [row.value, row.chance, *found, row.normalised, *[row.z] * referred]
        note = f"{row.benchmark.removeprefix('probe/')}{' (simulated)' if row.simulated else ''}"
        cells = [*[_origin(row)] * several, note, f"{row.metric}, {row.layer}"]
        table.add_row(*map(escape, cells), *map(number, numbers))
    console = console or terminal()
    console.print(table)
    for row in frozen_score(tasks).itertuples():
        whose = f"{_origin(row)}: " if several else ""
        console.print(
            f"{whose}global score {row.z:+.2f}: mean z of {row.tasks} of the six tasks of the "
            f"reference ({row.names})"
        )


def print_answers(sections: Iterable[Section], console: Console | None = None) -> None:
    """Show every question of a comparison with its answer and the first of its notes."""
    console = console or terminal()
    for section in sections:
        console.print(f"[bold]{escape(section.question)}[/bold] {escape(section.answer)}")
        for note in section.notes[:MOST_NOTES]:
            console.print(f"[dim]– {escape(note)}[/dim]", highlight=False)
        if len(section.notes) > MOST_NOTES:
            more = len(section.notes) - MOST_NOTES
            console.print(f"[dim]– {more} more notes are in the report[/dim]", highlight=False)


def _control(heads: pd.DataFrame, name: str, row) -> float:  # type: ignore[no-untyped-def]
    same = (heads["encoder"] == name) & (heads["benchmark"] == row.benchmark)
    found = heads.loc[same & (heads["metric"] == row.metric), "value"]
    return float(found.iloc[0]) if len(found) else math.nan


def _origin(row) -> str:  # type: ignore[no-untyped-def]
    return row.encoder if pd.isna(row.step) else f"{row.encoder} step {row.step:,}"


def _interval(low: float, high: float) -> str:
    return "–" if pd.isna(low) else f"{low:.3f} … {high:.3f}"
