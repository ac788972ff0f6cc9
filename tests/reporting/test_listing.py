"""The table of what can be chosen."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from reporting.listing import BenchmarkEntry, EncoderEntry, print_benchmarks, print_encoders

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


ENCODERS = [
    EncoderEntry("a", "Of [two].", 16_000, ("re:b\\.[2-9]", "c"), "MIT", "https://x.org/y", False),
    EncoderEntry("b", "What " + "else " * 30, 8000, ("hidden_states",), "MIT", "", True),
    EncoderEntry("c", "Made here."),
]


@pytest.mark.parametrize("width", [60, 100, 160])
def test_encoders_fit_and_say_whether_they_were_tried(width: int) -> None:
    text = StringIO()
    print_encoders(ENCODERS, Console(file=text, width=width))
    table, _, end = text.getvalue().partition("3 encoders, ")
    assert end.startswith("1 of them never tried (verified: no): check their ids")
    assert max(map(len, table.splitlines())) <= width
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in table.splitlines()]
    verified = {row[0]: row[4] for row in rows if row and row[4]}
    assert verified == {"a": "no", "b": "yes", "c": "–"}
    columns = ["".join(row[i] for row in rows if row) for i in range(5)]
    assert columns[1] == "16,0008,000–"
    assert columns[2] == "re:b\\.[2-9]chidden_states–"
    assert columns[3] == "MIThttps://x.org/yMIT–"


@pytest.mark.parametrize("width", [60, 100])
def test_encoders_that_cannot_run_are_told_apart(width: int) -> None:
    text = StringIO()
    gone = EncoderEntry("d", "Elsewhere.", 8000, ("c",), "MIT", "", False, "", "git clone [it]")
    print_encoders([*ENCODERS, gone], Console(file=text, width=width))
    table, _, end = text.getvalue().partition("3 encoders, 1 of them never tried")
    assert max(map(len, table.splitlines())) <= width
    assert "cannot run" in table
    assert "1 more cannot run here: make their features elsewhere" in end
    assert end.endswith("\nd: git clone [it]\n")


def test_encoders_that_were_all_tried_are_only_counted() -> None:
    text = StringIO()
    print_encoders(ENCODERS[1:], Console(file=text, width=100))
    assert text.getvalue().endswith("\n2 encoders.\n")
