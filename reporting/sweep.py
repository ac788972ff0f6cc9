"""What became of every encoder of a sweep, on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reporting.console import terminal

COLOURS = {"done": "green", "skipped": "yellow", "failed": "red"}


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    job : str
        Its folder in that of the sweep: the encoder, and the settings that were given with it.
    outcome : {"done", "skipped", "failed"}
        Failed is a job of which anything failed; skipped one that had nothing to score.
    scored, before : int
        Benchmarks that were scored, and those that were scored before.
    seconds : float
    reason : str
        Of what failed or was skipped.
    """

    job: str
    outcome: str
    scored: int = 0
    before: int = 0
    seconds: float = 0.0
    reason: str = ""


def print_outcomes(outcomes: Sequence[Outcome], console: Console | None = None) -> None:
    """One row a job, and in one line how many are done, skipped and failed."""
    table = Table(title="Sweep", title_justify="left")
    for name in ("encoder", "outcome", "scored", "before", "seconds", "reason"):
        side = "right" if name in ("scored", "before", "seconds") else "left"
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in outcomes:
        colour = COLOURS[row.outcome]
        outcome = f"[{colour}]{row.outcome}[/{colour}]"
        numbers = f"{row.scored}", f"{row.before}", f"{row.seconds:.1f}"
        table.add_row(escape(row.job), outcome, *numbers, escape(row.reason))
    console = console or terminal()
    console.print(table)
    counts = Counter(row.outcome for row in outcomes)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in COLOURS)
    console.print(f"{len(outcomes)} jobs: {said}.", highlight=False)
