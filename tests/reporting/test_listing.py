"""The table of what can be chosen."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from reporting.listing import BenchmarkEntry, print_benchmarks

ENTRIES = [
    BenchmarkEntry("probe/a", "Which [of two].", 2000, "CC0-1.0", "https://x.org/" + "x" * 60),
    BenchmarkEntry("probe/b", "What " + "else " * 30, None, "", "", "no b at [place]: get it"),
    BenchmarkEntry("probe/c", "Made here.", 12, "CC0-1.0", "generated", simulated=True),
]


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_table_fits_and_loses_nothing(width: int) -> None:
    text = StringIO()
    print_benchmarks(ENTRIES, Console(file=text, width=width))
    table, _, reasons = text.getvalue().partition("2 of 3 benchmarks can be scored here.")
    assert max(map(len, table.splitlines())) <= width
    for word in ("probe/a", "[of two]", "2,000", "CC0-1.0", "there", "missing", "generated", "–"):
        assert word in table
    folded = "".join(line.split("│")[3].strip() for line in table.splitlines() if "│" in line)
    assert ENTRIES[0].source in folded
    assert reasons.split("\n", 1)[1] == "probe/b: no b at [place]: get it\n"
