"""Two score tables are equal, or what differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.same_scores import find_differences, read_table
from evaluation.rows import Score, append_rows

ROW = Score("fmri/x", "r2", "layer", 0.5, target="music", encoder="mine", step=10, seconds=1.0)


def write(folder: Path, *rows: Score) -> Path:
    folder.mkdir()
    append_rows(folder / "scores.jsonl", rows)
    return folder


def test_seconds_do_not_count_and_values_do(tmp_path: Path) -> None:
    before = read_table(write(tmp_path / "a", ROW))
    assert (
        find_differences(before, read_table(write(tmp_path / "b", replace(ROW, seconds=2)))) == []
    )
    changed = read_table(write(tmp_path / "c", replace(ROW, value=0.5000001)))
    ((name, field, a, b),) = find_differences(before, changed)
    assert (field, a, b) == ("value", 0.5, 0.5000001)
    assert name == "fmri/x mine 10 r2 layer music"


def test_missing_rows_are_named(tmp_path: Path) -> None:
    before = read_table(write(tmp_path / "a", ROW, replace(ROW, target="speech")))
    after = read_table(write(tmp_path / "b", ROW) / "scores.jsonl")
    ((name, field, a, b),) = find_differences(before, after)
    assert (field, a, b) == ("row", True, False)
    assert "speech" in name
