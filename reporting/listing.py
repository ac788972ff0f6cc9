"""What there is to choose from, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reporting.console import terminal


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


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder that can be chosen.

    Attributes
    ----------
    name, what : str
        ``wav2vec2_base``, and what it is in a line.
    sample_rate : int, optional
        Hz that it hears, where its yaml says so.
    layers : tuple of str
        Patterns of those that are read; empty where it finds out by itself.
    licence, source : str
        Of published weights; empty for what is made here.
    verified : bool, optional
        Whether id, licence and layers of published weights were tried; None for what has none.
    kind : str
        Family, sounds and objective of training, size and hours, as far as they are known.
    missing : str
        How to make its features elsewhere, where it cannot run here; empty where it can.
    """

    name: str
    what: str
    sample_rate: int | None = None
    layers: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    verified: bool | None = None
    kind: str = ""
    missing: str = ""


def print_benchmarks(entries: Sequence[BenchmarkEntry], console: Console | None = None) -> None:
    """One row for each benchmark, then why those that are not there are not."""
    console = console or terminal()
    table = Table(leading=1, expand=True)
    table.add_column("benchmark", overflow="fold", ratio=5)
    table.add_column("stimuli", justify="right", no_wrap=True)
    table.add_column("licence, source", overflow="fold", ratio=4)
    table.add_column("data", no_wrap=True)
    for entry in entries:
        count = "–" if entry.stimuli is None else f"{entry.stimuli:,}"
        name, origin = _name_cell(entry.name, entry.asks), _origin(entry.licence, entry.source)
        table.add_row(name, count, origin, _state(entry))
    console.print(table)
    lacking = [entry for entry in entries if entry.missing]
    console.print(f"{len(entries) - len(lacking)} of {len(entries)} benchmarks can be scored here.")
    for entry in lacking:
        text = f"{escape(entry.name)}: [dim]{escape(entry.missing)}[/dim]"
        console.print(text, highlight=False, soft_wrap=True)


def print_encoders(entries: Sequence[EncoderEntry], console: Console | None = None) -> None:
    """One row for each encoder, how many were never tried, and why those that cannot run do not."""
    console = console or terminal()
    table = Table(leading=1, expand=True)  # in 100 columns addresses of papers stay whole
    table.add_column("encoder", overflow="fold", ratio=13)
    table.add_column("Hz", justify="right", no_wrap=True)
    table.add_column("layers", overflow="fold", ratio=8)
    table.add_column("licence, source", overflow="fold", ratio=17)
    table.add_column("verified", no_wrap=True)
    for entry in entries:
        table.add_row(
            _name_cell(entry.name, "\n".join(part for part in (entry.what, entry.kind) if part)),
            "–" if entry.sample_rate is None else f"{entry.sample_rate:,}",
            escape("\n".join(entry.layers)) or "–",
            _origin(entry.licence, entry.source),
            _verified_cell(entry),
        )
    console.print(table)
    runnable = [entry for entry in entries if not entry.missing]
    untried = sum(entry.verified is False for entry in runnable)
    text = f", {untried} of them never tried (verified: no): check their ids, licences and layers"
    console.print(f"{len(runnable)} encoders{text if untried else ''}.", soft_wrap=True)
    elsewhere = [entry for entry in entries if entry.missing]
    if elsewhere:
        console.print(
            f"{len(elsewhere)} more cannot run here: make their features elsewhere, and give them "
            "as encoder=precomputed encoder.path=FILE.npz.",
            soft_wrap=True,
        )
    for entry in elsewhere:
        text = f"{escape(entry.name)}: [dim]{escape(entry.missing)}[/dim]"
        console.print(text, highlight=False, soft_wrap=True)


def _verified_cell(entry: EncoderEntry) -> str:
    if entry.missing:
        return "[red]cannot run[/red]"
    return {None: "–", False: "[red]no[/red]", True: "[green]yes[/green]"}[entry.verified]


def _name_cell(name: str, text: str) -> str:
    return f"[bold]{escape(name)}[/bold]\n[dim]{escape(text)}[/dim]"


def _origin(licence: str, source: str) -> str:
    parts = [escape(part) for part in (licence, source) if part]
    return "\n[dim]".join(parts) + "[/dim]" * (len(parts) > 1) if parts else "–"


def _state(entry: BenchmarkEntry) -> str:
    if entry.missing:
        return "[red]missing[/red]"
    return "generated" if entry.simulated else "[green]there[/green]"
