"""Tables of README and docs: means over seeds at the steps that all runs have."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from evaluation.rows import Score, append_rows

PAGES = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tables", PAGES / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_tables"] = module
    spec.loader.exec_module(module)
    return module


def write_run(folder: Path, values: dict[int, float]) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    row = Score("fmri/nh2015_components", "r2", "selected", 0.0, encoder="pretrain_mix_tiny")
    rows = [replace(row, value=value, step=step) for step, value in values.items()]
    append_rows(folder / "scores.jsonl", rows)


def test_runs_are_compared_at_steps_that_all_have(tables: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "1", {0: 0.3, 60: 0.9, 120: 0.40, 240: 0.9})
    write_run(tmp_path / "2", {0: 0.3, 120: 0.42})
    write_run(tmp_path / "3", {0: 0.3, 120: 0.44})
    floor = Score("fmri/nh2015_components", "r2", "logmel", 0.25, encoder="logmel")
    append_rows(tmp_path / "1" / "baselines.jsonl", [floor])
    lines = [*tables.write_table(tables.TABLES["trajectory"], tables.read_heads([tmp_path]))]
    assert lines[0] == "| | log-mel | step 0 | step 120 | change, 3 seeds, 95 % |"
    # Student with two degrees of freedom: 4.303 * .02 / sqrt(3).
    expected = "| `fmri/nh2015_components` r2 | .250 | .300 | .420 | +.120 (+.070 … +.170) |"
    assert lines[2] == expected
    assert lines[3] == "| `fmri/nh2015_components` rsa | – | – | – | – |"


def test_every_mark_has_a_table(tables: ModuleType) -> None:
    for page in (PAGES / "README.md", *(PAGES / "docs").glob("*.md")):
        for part in page.read_text().split("<!-- numbers: ")[1:]:
            assert part.partition(" -->")[0] in tables.TABLES
            assert "<!-- end -->" in part


def test_folders_without_scores_are_named(tables: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no scores\.jsonl or baselines\.jsonl below"):
        tables.read_heads([tmp_path])
