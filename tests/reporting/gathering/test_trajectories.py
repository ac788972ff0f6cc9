"""Best, last and mean value of a trajectory, against plain sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.gathering.gather import gather
from reporting.gathering.trajectories import trajectory_summaries
from tests.reporting.comparison.made import row, write


def test_area_best_and_final(tmp_path: Path) -> None:
    values = {0: 0.1, 10: 0.5, 40: 0.3}
    rows = [row("mine", value, step=step, fingerprint=str(step)) for step, value in values.items()]
    wrong = {"metric": "segment_1s_error_rate", "benchmark": "probe/b"}
    rows += [
        row("mine", value, step=step, fingerprint=str(step), **wrong)
        for step, value in values.items()
    ]
    write(tmp_path, [*rows, row("theirs", 0.7)])
    found = trajectory_summaries(gather([str(tmp_path)]).heads).set_index(["encoder", "metric"])
    mine = found.loc[("mine", "r2")]
    assert (mine["best_optimistic"], mine["best_step"], mine["final"], mine["final_step"]) == (
        0.5,
        10,
        0.3,
        40,
    )
    expected = (10 * (0.1 + 0.5) / 2 + 30 * (0.5 + 0.3) / 2) / 40
    assert mine["area"] == pytest.approx(expected)
    assert mine["steps"] == 3
    errors = found.loc[("mine", "segment_1s_error_rate")]
    assert (errors["best_optimistic"], errors["best_step"]) == (0.1, 0)
    theirs = found.loc[("theirs", "r2")]
    assert theirs["best_optimistic"] == theirs["final"] == 0.7
    assert theirs[["best_step", "area"]].isna().all()
