"""What a self-check found, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reporting.console import terminal
from reporting.tables import as_row

COLOURS = {"ok": "green", "note": "yellow", "fails": "red"}


def print_findings(
    name: str, findings: Iterable[object], console: Console | None = None
) -> list[Mapping[str, object]]:
    """Show findings, those of layers that agree in one row, and return those that fail.

    Layers that passed a check with different values are counted; one that failed has its own row.
    """
    rows = [as_row(finding) for finding in findings]
    table = Table(title=f"Self-check of {name}", title_justify="left")
    for column in ("check", "layer", "found", "expected", ""):
        table.add_column(column, overflow="fold")
    for group in _group_findings(rows):
        first, verdict = group[0], str(group[0]["verdict"])
        colour = COLOURS.get(verdict, "white")
        cells = [
            str(first["check"]),
            _layers(group),
            _span(group, "found"),
            _span(group, "expected"),
        ]
        table.add_row(*map(escape, cells), f"[{colour}]{escape(verdict)}[/{colour}]")
    console = console or terminal()
    console.print(table)
    bad = [row for row in rows if row["verdict"] == "fails"]
    console.print(
        f"[red]{escape(name)} fails {len(bad)} of {len(rows)} checks[/red]"
        if bad
        else f"[green]{escape(name)} passes {len(rows)} checks[/green]",
        highlight=False,
    )
    return bad


def _group_findings(rows: list[Mapping[str, object]]) -> list[list[Mapping[str, object]]]:
    """Neighbouring rows of one check that are about layers and passed."""
    groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for i, row in enumerate(rows):
        own = () if row["verdict"] == "ok" and row["layer"] else (i,)
        groups.setdefault((row["check"], row["verdict"], *own), []).append(row)
    return list(groups.values())


def _layers(group: list[Mapping[str, object]]) -> str:
    layers = list(dict.fromkeys(str(row["layer"]) for row in group))
    return layers[0] if len(layers) == 1 else f"{layers[0]} … {layers[-1]} ({len(layers)})"


def _span(group: list[Mapping[str, object]], key: str) -> str:
    values = list(dict.fromkeys(str(row[key]) for row in group))
    return values[0] if len(values) == 1 else f"{values[0]} … {values[-1]}"
