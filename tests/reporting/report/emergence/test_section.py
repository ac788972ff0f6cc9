"""Curves over training: when they rise, which leads, and how they are drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reporting.gathering.gathered import Gathered
from reporting.report.better import section as better
from reporting.report.depth import section as depth
from reporting.report.drivers import section as drivers
from reporting.report.emergence import section as emergence
from reporting.report.emergence.curves import REGION, TARGET, TASK, Curve, curves, seeds
from reporting.report.emergence.leads import leads
from reporting.report.emergence.rises import rises
from reporting.report.emergence.target_figures import components
from reporting.report.section import Chart
from reporting.report.shortcut import section as shortcut
from tests.reporting.comparison import tables

SECTIONS = [module.section for module in (better, shortcut, emergence, depth, drivers)]


@pytest.fixture(scope="module")
def run() -> Gathered:
    return tables.trained(3, seed=2, noise=0.05)


def test_planted_times_and_leads_are_found(run: Gathered) -> None:
    made, notes = curves(run)
    assert notes == []
    table = {(row.kind, row.label): row for row in rises(made)}
    whole = table["score", f"{tables.BRAIN} r2"]
    assert whole.half.value == pytest.approx(60, rel=0.15)
    assert whole.half.n == whole.runs == 3
    assert whole.half_hours.value == pytest.approx(whole.half.value * 96 / 960)
    assert whole.decline.value == pytest.approx(0)
    assert whole.rise.value == pytest.approx(0.4)
    assert whole.ceiling == pytest.approx(0.8)
    assert table[TASK, "made"].half.value == pytest.approx(120, rel=0.15)
    ahead = {(row.first, row.second): row.doublings for row in leads(made)}
    assert ahead[f"{tables.BRAIN} r2", "made"].value == pytest.approx(1, abs=0.25)
    regions = leads(made, REGION, REGION)
    assert [row.doublings.value for row in regions] == [pytest.approx(2, abs=0.1)]


def curve(run: str, encoder: str, kind: str, half: float, end: int = 960) -> Curve:
    steps = np.array([0.0, 10, 20, 40, 80, 160, 320, end])
    values = tables.rising(half, steps)
    return Curve(run, encoder, run, kind, kind, "", steps, values, math.nan)


def test_runs_of_several_encoders_are_not_units_of_one_kind() -> None:
    """Five seeds of one encoder that leads, and two encoders that do not, of one run each."""
    made = []
    for k, (encoder, later) in enumerate([("a", 4.0)] * 5 + [("b", 1.0), ("c", 0.5)]):
        made.append(curve(str(k), encoder, "score", 20))
        made.append(curve(str(k), encoder, TASK, 20 * later))
    (found,) = leads(made)
    assert (found.unit, found.doublings.n) == ("encoders", 3)
    assert found.doublings.value == pytest.approx((2 + 0 - 1) / 3, abs=0.05)
    assert found.doublings.low < 0
    (alone,) = leads([c for c in made if c.encoder == "a"])
    assert (alone.unit, alone.doublings.n) == ("runs", 5)
    (two,) = leads([c for c in made if c.encoder != "a"])
    assert math.isnan(two.doublings.low)
    assert two.doublings.value == pytest.approx(-0.5, abs=0.05)


def test_seeds_of_other_steps_are_averaged_where_they_meet() -> None:
    steps = np.array([0.0, 20, 320])
    short = replace(curve("1", "a", TARGET, 20), steps=steps, values=np.array([0.3, 0.5, 0.7]))
    long = curve("0", "a", TARGET, 20)
    figure, _ = components([long, short], {})
    assert figure is not None
    whole = np.interp(steps, long.steps, long.values)
    assert list(figure.data[0].y) == pytest.approx(((whole + short.values) / 2).tolist())
    notes = emergence._run_notes([long, short], [])
    assert any("end at different steps (320, 960)" in note for note in notes)


def test_leads_are_drawn_only_where_a_task_rises_too() -> None:
    steps = range(0, 100, 10)
    rows = [tables.row("a", tables.BRAIN, "r2", 0.1 + s / 200, step=s) for s in steps]
    rows += [
        tables.row("a", "probe/made", "linear_accuracy", 0.9 - s / 200, step=s, chance=0.1)
        for s in steps
    ]
    found = emergence.section(tables.gathered(rows))
    keys = [item.key for item in found.items]
    assert "emergence_half" in keys
    assert "emergence_leads" not in keys
    assert "not beyond the noise of its steps: made (1 of 1)" in str(found.notes)


def test_a_wide_interval_does_not_crowd_out_the_times() -> None:
    found = emergence.section(tables.trained(2, seed=5, noise=1.5))
    (figure,) = (
        item.figure
        for item in found.items
        if isinstance(item, Chart) and item.key == "emergence_half"
    )
    (trace,) = figure.data
    known = np.array(trace.x, float)
    ends = 10 ** np.array(figure.layout.xaxis.range)
    assert (trace.error_x.array + known).max() > 13 * known.max()
    assert known.max() < ends[1] < 13 * known.max()
    assert len(figure.layout.xaxis.ticktext) < 13


def test_runs_of_one_kind_are_seeds_unless_named_by_hand() -> None:
    def told(*labels: str, data: str = "mix") -> list[tuple[str, pd.DataFrame]]:
        fields = {"written": "mine", "trained_on": data, "step": 9}
        return [(label + data, pd.DataFrame([{"encoder": label, **fields}])) for label in labels]

    same = told("mine (a)", "mine (b)")
    assert seeds(same) == {"mine (a)mix": "mine", "mine (b)mix": "mine"}
    assert set(seeds(told("small", "large")).values()) == {"small", "large"}
    other = seeds([*same, *told("mine (c)", data="speech")])
    assert other["mine (a)mix"] == other["mine (b)mix"] == "mine (a) and 1 more"
    assert other["mine (c)speech"] == "mine (c)"
