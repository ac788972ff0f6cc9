"""Not speed: whether two tables of scores are equal in every value, row by row.

``python bench/same_scores.py BEFORE AFTER`` takes score files, or folders with ``scores.jsonl``,
of this version or an earlier one. Seconds are not compared. The exit code is 1 if a value differs
or a row is missing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from evaluation.rows import read_scores

KEY = ("benchmark", "encoder", "step", "metric", "layer", "target", "subject", "window")
IGNORED = {*KEY, "seconds", "version"}
SHOWN = 20


def read_table(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by what names them; the last one of a name counts."""
    rows = read_scores(path / "scores.jsonl" if path.is_dir() else path)
    tables = [asdict(row) for row in rows]
    return {tuple(row[key] for key in KEY): row for row in tables}


def find_differences(
    before: dict[tuple[Any, ...], dict[str, Any]], after: dict[tuple[Any, ...], dict[str, Any]]
) -> list[tuple[str, str, Any, Any]]:
    """Name of the row, field, and both values."""
    found = []
    for key in sorted({*before, *after}, key=str):
        name = " ".join(str(part) for part in key if part not in ("", None))
        if key not in before or key not in after:
            found.append((name, "row", key in before, key in after))
            continue
        a, b = before[key], after[key]
        fields = [field for field in a if field not in IGNORED]
        found += [(name, f, a[f], b[f]) for f in fields if a[f] != b[f]]
    return found


def main() -> None:
    """Compare two tables and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = read_table(options.before), read_table(options.after)
    found = find_differences(before, after)
    if found:
        table = Table("row", "field", "before", "after")
        for row in found[:SHOWN]:
            table.add_row(*map(str, row))
        Console().print(table)
    Console().print(f"{len(before)} and {len(after)} rows: {len(found)} differences")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
