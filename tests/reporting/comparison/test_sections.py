"""Sections of a comparison on score tables whose truth is planted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    over_encoders,
    select_compared,
)
from reporting.report.better import section as better
from reporting.report.better.statistics import pairing
from reporting.report.depth import section as depth
from reporting.report.depth.statistics import agreement, depths, peak_difference, peak_table
from reporting.report.drivers import section as drivers
from reporting.report.drivers.statistics import factors, known_fields
from reporting.report.emergence import section as emergence
from reporting.report.section import Chart, Grid, Section
from reporting.report.shortcut import section as shortcut
from reporting.report.shortcut.statistics import (
    costs,
    over_checkpoints,
    over_models,
    separate_pairs,
)
from tests.reporting.comparison import tables

SECTIONS = [module.section for module in (better, shortcut, emergence, depth, drivers)]
KINDS = ("scatter", "bar", "heatmap")


@pytest.fixture(scope="module")
def encoders() -> Gathered:
    return tables.correlated(16, 0.8, seed=1, floor=-0.5)


@pytest.fixture(scope="module")
def run() -> Gathered:
    return tables.trained(3, seed=2, noise=0.05)


def charts(found: Section) -> list[go.Figure]:
    return [item.figure for item in found.items if isinstance(item, Chart)]


@pytest.mark.parametrize("section", SECTIONS)
def test_without_scores_a_section_says_what_is_missing(
    section: Callable[[Gathered], Section],
) -> None:
    rows = [tables.row("a", "fmri/made", "r2", 0.1), tables.row("b", "fmri/made", "r2", 0.2)]
    found = section(tables.gathered(rows))
    assert found.items == []
    assert found.notes
    assert found.question.endswith("?")


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_draw_what_is_converted(
    section: Callable[[Gathered], Section], encoders: Gathered, run: Gathered
) -> None:
    made = {emergence.section: run, depth.section: tables.deep(5)}.get(section, encoders)
    found = section(made)
    assert found.items
    assert len(found.answer) > 20
    keys = [item.key for item in found.items]
    assert len(set(keys)) == len(keys)
    for figure in charts(found):
        assert {trace.type for trace in figure.data} <= set(KINDS)
    for item in found.items:
        assert item.caption
        if isinstance(item, Grid):
            assert all(isinstance(cell, str) for cell in item.table.to_numpy().ravel())


def test_too_few_encoders_are_not_correlated() -> None:
    rows, about = [], {}
    rng = np.random.default_rng(0)
    for i in range(8):
        name = f"m{i}"
        rows.append(tables.row(name, "fmri/all", "r2", float(rng.random()), target="speech"))
        if i < 3:
            rows.append(tables.row(name, "fmri/few", "r2", float(rng.random()), target="speech"))
        rows += tables.task_rows(name, dict.fromkeys(tables.SIX, float(rng.random())))
        about[name] = {"family": name}
    made = tables.gathered(rows, about)
    found = better.section(made)
    assert "fewer than 5 encoders with a global score have them: fmri/few r2" in str(found.notes)
    shown = str([(item.caption, item.table) for item in found.items if isinstance(item, Grid)])
    assert "fmri/all" in shown
    assert "fmri/few" not in shown
    assert "fmri/few" not in str([figure.to_dict() for figure in charts(found)])
    maps = [f for f in charts(shortcut.section(made)) if f.data[0].type == "heatmap"]
    assert [list(figure.data[0].y) for figure in maps] == [["fmri/all r2"]]


def test_points_carry_their_names(encoders: Gathered) -> None:
    figure = charts(better.section(encoders))[0]
    named = {name for trace in figure.data for name, _ in (trace.customdata or ())}
    assert named == {f"model {i:02}" for i in range(16)} | {"logmel"}


def test_curves_carry_their_encoder(run: Gathered) -> None:
    found = emergence.section(run)
    lines = [trace for trace in charts(found)[0].data if trace.mode == "lines+markers"]
    assert lines
    named = {name for trace in lines for name in trace.meta["encoder"]}
    assert named == set(run.encoders.index[run.encoders["final"]])
    assert {trace.meta["family"] for trace in lines} == {"small"}


def test_shortcuts_rank_encoders_and_name_the_pick(encoders: Gathered) -> None:
    found = pairing(encoders)
    rows = over_models(found, costs(encoders))
    first = rows[0]
    brain, z = found.brain.iloc[:, 0], found.scores[0].values
    assert first.pick == brain.idxmax()
    assert first.loss == pytest.approx(z.max() - z[brain.idxmax()])
    assert first.seconds == 2
    # All tasks are the same number here, so that each stands for the others.
    assert [row.accuracy.value for row in rows[1:]] == pytest.approx([1] * 6)
    assert first.blind_loss > first.loss_of_five.value


@pytest.mark.parametrize(("noise", "told"), [((0.0, 0.01, 0.02), 0), ((0.0, 3.0, 3.0), 2)])
def test_the_best_score_is_told_from_others_or_not(noise: tuple[float, ...], told: int) -> None:
    rng = np.random.default_rng(2)
    rows = []
    for i in range(20):
        useful = float(rng.standard_normal())
        rows += tables.task_rows(f"m{i:02}", dict.fromkeys(tables.SIX, useful))
        for k, size in enumerate(noise):
            value = useful + size * float(rng.standard_normal())
            rows.append(tables.row(f"m{i:02}", f"fmri/{k}", "r2", value))
    found = pairing(tables.gathered(rows))
    assert separate_pairs(found, "fmri/0 r2") == (told, 2)


def test_costs_are_of_the_encoders_that_are_compared() -> None:
    rows = [tables.row(f"m{i}", "fmri/made", "r2", 0.1, seconds=10.0 * i) for i in (1, 3)]
    rows.append(tables.row("logmel", "fmri/made", "r2", 0.1, seconds=0.1))
    rows += [
        tables.row("run", "fmri/made", "r2", 0.1, step=step, seconds=seconds)
        for step, seconds in ((0, 99.0), (10, 99.0), (20, 50.0))
    ]
    made = tables.gathered(rows, {"logmel": {"control": True}})
    assert costs(made) == {"fmri/made": pytest.approx((10 + 30 + 50) / 3)}


def test_checkpoints_are_ranked_within_each_run(run: Gathered) -> None:
    found, notes = over_checkpoints(run, costs(run))
    assert set(found) == {"run 0", "run 1", "run 2"}
    assert notes == []
    by_step = found["run 0"][-1]
    assert by_step.score == "training step"
    assert by_step.accuracy.value == 1
    assert found["run 0"][0].accuracy.value == pytest.approx(1, abs=0.35)


def test_planted_peaks_are_found_and_their_difference() -> None:
    found = depths(tables.deep(12, 0.3, seed=1))
    peaks = peak_table(found)
    score = f"{tables.BRAIN} cka_debiased"
    assert peaks[score].encoders.value == pytest.approx(0.4, abs=0.1)
    apart = peak_difference(found)[tables.BRAIN]
    assert apart.encoders.low < 0.3 < apart.encoders.high
    assert apart.encoders.n == apart.families.n == 12


def test_scores_that_agree_have_a_w_of_one() -> None:
    rows = [
        tables.row(f"m{i}", "fmri/made", metric, 0.1 * i)
        for i in range(5) for metric in ("r2", "rsa")
    ]  # fmt: skip
    agreed = agreement(tables.gathered(rows))
    assert agreed is not None
    assert agreed.w.value == pytest.approx(1)
    assert agreed.ranks.iloc[0].tolist() == [1, 2, 3, 4, 5]


def test_planted_drivers_are_found() -> None:
    rng = np.random.default_rng(0)
    rows, about = [], {}
    for i in range(18):
        name, size = f"m{i:02}", 10 ** rng.uniform(6, 9)
        value = 0.3 + 0.1 * (i % 3 == 0) + 0.01 * rng.standard_normal()
        rows.append(tables.row(name, "fmri/made", "r2", value))
        rows.append(tables.row(name, "fmri/size", "r2", math.log10(size)))
        about[name] = {
            "trained_on": ("all", "speech", "music")[i % 3], "parameters": size,
            "objective": ("masked", "other")[i % 2],
        }  # fmt: skip
    made = tables.gathered(rows, about)
    found = drivers.section(made)
    assert found.answer.count("n = 18; highest: all)") == 2  # families and encoders
    assert found.answer.count("highest") == 2
    assert "Adjusted for all 6 rows of the table (Holm)" in found.answer
    brain = over_encoders(
        made.heads.assign(score=made.heads["benchmark"]), list(select_compared(made).index)
    )
    rows_of = {(row.score, row.field): row for row in factors(brain, known_fields(made.encoders))}
    assert rows_of["fmri/made", "trained_on"].encoders.p < 0.01
    assert rows_of["fmri/made", "objective"].encoders.p > 0.05
    slope = rows_of["fmri/size", "parameters"].families.slope
    assert slope is not None
    assert slope.value == pytest.approx(1)
    assert any("family not known of 18" in note for note in found.notes)
