"""What there is to choose from, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reporting.terminal import terminal


@dataclass(frozen=True)
class BenchmarkEntry:
    """A benchmark that can be chosen.

    Attributes
    ----------
    name, asks : str
        ``probe/esc50``, and what it asks in a line.
    stimuli : int, optional
        Clips, recordings or sounds, where that is known.
    licence, source : str
        Of the data; empty where it is not known.
    missing : str
        Why it cannot be scored here; empty where it can.
    simulated : bool
        The data are generated.
    """

    name: str
    asks: str
    stimuli: int | None
    licence: str
    source: str
    missing: str = ""
    simulated: bool = False


def print_benchmarks(entries: Sequence[BenchmarkEntry], console: Console | None = None) -> None:
    """One row for each benchmark, then why those that are not there are not."""
    console = console or terminal()
    table = Table(leading=1)
    table.add_column("benchmark", overflow="fold", ratio=5)
    table.add_column("stimuli", justify="right", no_wrap=True)
    table.add_column("licence, source", overflow="fold", ratio=4)
    table.add_column("data", no_wrap=True)
    for entry in entries:
        count = "–" if entry.stimuli is None else f"{entry.stimuli:,}"
        origin = [escape(part) for part in (entry.licence, entry.source) if part]
        table.add_row(
            f"[bold]{escape(entry.name)}[/bold]\n[dim]{escape(entry.asks)}[/dim]",
            count,
            "\n[dim]".join(origin) + "[/dim]" * (len(origin) > 1) if origin else "–",
            _state(entry),
        )
    console.print(table)
    lacking = [entry for entry in entries if entry.missing]
    console.print(f"{len(entries) - len(lacking)} of {len(entries)} benchmarks can be scored here.")
    for entry in lacking:
        text = f"{escape(entry.name)}: [dim]{escape(entry.missing)}[/dim]"
        console.print(text, highlight=False, soft_wrap=True)


def _state(entry: BenchmarkEntry) -> str:
    if entry.missing:
        return "[red]missing[/red]"
    return "generated" if entry.simulated else "[green]there[/green]"
