"""Sections of a comparison on score tables whose truth is planted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from reporting.comparison import better, depth, drivers, emergence, shortcut
from reporting.comparison.depths import agreement, depths, family_of, peak_difference, peak_table
from reporting.comparison.downstream_scores import downstream, global_scores
from reporting.comparison.emergence_figures import components
from reporting.comparison.factors import factors, known_fields
from reporting.comparison.gathered import Gathered
from reporting.comparison.leads import leads
from reporting.comparison.rises import (
    REGION,
    TARGET,
    TASK,
    Curve,
    curves,
    rises,
    seeds,
)
from reporting.comparison.section import Chart, Grid, Section
from reporting.comparison.shortcuts import costs, over_checkpoints, over_models, told_from
from reporting.comparison.usefulness import ABOVE, ALL, associations, pairing, partials
from reporting.comparison.wide import (
    alignment_heads,
    best_targets,
    compared,
    layer_profiles,
    missing_notes,
    over_encoders,
    over_targets,
)
from reporting.tables import headlines, target_headlines
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


def test_correlations_are_of_all_and_of_those_above_the_floor(encoders: Gathered) -> None:
    found = pairing(encoders)
    rows = {(row.downstream, row.encoders): row for row in associations(found)}
    z = found.scores[0].values
    whole, above = rows["frozen score (z)", ALL], rows["frozen score (z)", ABOVE]
    assert whole.n == 16
    assert above.n == int((z > -0.5).sum()) < 16
    brain = found.brain.iloc[:, 0]
    assert whole.pearson.value == pytest.approx(np.corrcoef(brain, z)[0, 1])
    kept = z > -0.5
    assert above.pearson.value == pytest.approx(np.corrcoef(brain[kept], z[kept])[0, 1])
    assert whole.ceiling == pytest.approx(0.8)
    assert rows["relative score (z)", ALL].pearson.value == pytest.approx(whole.pearson.value)
    assert set(partials(found)["given"]) == {"size"}


def test_an_answer_says_what_one_family_makes_of_it() -> None:
    """Two clusters: untrained encoders, which are alike, and a family that is better at all."""
    rng = np.random.default_rng(5)
    rows, about = [], {}
    for i in range(14):
        name, trained = f"m{i:02}", i > 9
        noise = 0.3 * rng.standard_normal(2)
        rows.append(tables.row(name, "fmri/made", "r2", 0.2 + 0.1 * (3 * trained + noise[0])))
        rows += tables.task_rows(name, dict.fromkeys(tables.SIX, 3 * trained + noise[1]))
        about[name] = {"family": "ours" if trained else f"untrained {i % 2}"}
    made = tables.gathered(rows, about)
    found = better.section(made)
    first = associations(pairing(made))[0]
    assert first.pearson.low > 0.8
    assert abs(first.pearson_left.low) < 0.7
    assert "(lowest without ours)" in found.answer
    assert "Of 1 alignment scores 1 have an interval above 0" in found.answer
    assert "0 with families for units" in found.answer


def test_without_a_control_the_floor_is_that_of_the_paper() -> None:
    found = pairing(tables.correlated(12, 0.5, seed=3))
    value, why = found.scores[0].floor
    assert value == -1
    assert "no control" in why


def test_without_the_tasks_of_the_reference_scores_above_chance_are_averaged() -> None:
    rows = []
    for i in range(6):
        rows += [
            tables.row(f"m{i}", "probe/made", "knn_accuracy", 0.2 + 0.1 * i, chance=0.2),
            tables.row(f"m{i}", "probe/other", "linear_accuracy", 0.5, chance=0.5),
            tables.row(f"m{i}", "fmri/made", "r2", 0.1 * i),
        ]
    made = tables.gathered(rows)
    scores, notes = global_scores(
        downstream(made, list(made.encoders.index)), [f"m{i}" for i in range(6)]
    )
    assert [score.label for score in scores] == ["score above chance"]
    assert scores[0].values.tolist() == pytest.approx([i / 16 for i in range(6)])
    assert any("no frozen score" in note for note in notes)
    text = better.section(made)
    assert any("no control has these tasks" in note for note in text.notes)


def test_without_chance_ranks_are_averaged() -> None:
    rows = [tables.row(f"m{i}", "probe/made", "knn_accuracy", 0.1 * i) for i in range(5)]
    made = tables.gathered(rows)
    names = list(made.encoders.index)
    scores, _ = global_scores(downstream(made, names), names)
    assert scores[0].label == "mean rank"
    assert scores[0].values.tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_floor_that_equals_an_encoder_has_its_rank() -> None:
    values = [0.1, 0.2, 0.2, 0.5, 0.7]
    rows = [tables.row(f"m{i}", "probe/made", "knn_accuracy", v) for i, v in enumerate(values)]
    floors = {"low": 0.05, "same": 0.2, "between": 0.6, "twin": 0.7}
    rows += [tables.row(name, "probe/made", "knn_accuracy", v) for name, v in floors.items()]
    made = tables.gathered(rows, {name: {"control": True} for name in floors})
    names = [f"m{i}" for i in range(5)]
    scores, _ = global_scores(downstream(made, [*names, *floors]), names, list(floors))
    score = scores[0]
    for name, value in floors.items():
        for own, other in zip(score.values, values, strict=True):
            assert np.sign(round(own - score.floors[name], 9)) == np.sign(round(other - value, 9))
    assert score.above_floor == []


def test_a_task_is_compared_by_the_metric_that_most_encoders_have() -> None:
    rows = [
        tables.row(f"m{i}", "probe/made", "linear_accuracy", 0.1 * i, chance=0) for i in range(4)
    ]
    rows.append(tables.row("m4", "probe/made", "mlp_accuracy", 0.9, chance=0))
    rows.append(tables.row("m3", "probe/made", "mlp_accuracy", 0.9, chance=0))
    found = downstream(tables.gathered(rows), [f"m{i}" for i in range(5)])
    assert found.values["probe/made"].tolist()[:4] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert math.isnan(found.values["probe/made"].iloc[4])
    assert "linear_accuracy, which 4 of 5" in found.notes[0]


def test_what_was_read_first_does_not_come_first() -> None:
    scores = [("ecog/a", "r2"), ("fmri/b", "cka"), ("fmri/b", "r2"), ("fmri/a", "r2")]
    for order in (scores, scores[::-1]):
        rows = [tables.row(f"m{i}", *score, 0.1) for score in order for i in range(3)]
        rows += [tables.row("m0", "fmri/a", "rsa", 0.1)]
        made = tables.gathered(rows)
        heads = alignment_heads(made)
        expected = ["fmri/a r2", "fmri/b r2", "fmri/b cka", "ecog/a r2", "fmri/a rsa"]
        assert list(over_encoders(heads, made.encoders.index)) == expected


def test_missing_cells_are_named(encoders: Gathered) -> None:
    rows = [tables.row(f"m{i}", "fmri/a", "r2", 0.1 * i) for i in range(5)]
    rows += [tables.row(f"m{i}", "fmri/b", "r2", 0.1 * i) for i in range(3)]
    made = tables.gathered(rows)
    table = over_encoders(made.heads.assign(score=made.heads["benchmark"]), made.encoders.index)
    assert missing_notes(table) == ["fmri/b: 2 of 5 encoders lack it (m3, m4)"]
    agreed = agreement(made)
    assert agreed is not None
    assert agreed.left == ["m3: lacks a score", "m4: lacks a score"]


def test_profiles_are_the_tables_of_headlines() -> None:
    rng = np.random.default_rng(0)
    rows = [
        tables.row(
            f"m{i}", f"fmri/{b}", "r2", float(rng.random()), layer=f"layer.{k}", target=target,
            subject=subject,
        )
        for i in range(3) for b in "ab" for k in range(4)
        for target in ("speech", "music") for subject in ("s1", "s2")
    ]  # fmt: skip
    made = tables.gathered(rows)
    profiles = layer_profiles(made)
    whole = over_targets(profiles).groupby(["name", "benchmark"], observed=True)["value"].max()
    known = headlines(made.scores).set_index(["encoder", "benchmark"])["value"]
    assert whole.to_dict() == pytest.approx(known.to_dict())
    fine = best_targets(profiles).set_index(["name", "benchmark", "target"])["value"]
    heads = target_headlines(made.scores).set_index(["encoder", "benchmark", "target"])["value"]
    assert fine.to_dict() == pytest.approx(heads.to_dict())
    assert sorted(set(profiles["depth"])) == pytest.approx([0, 1 / 3, 2 / 3, 1])


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
    assert told_from(found, "fmri/0 r2") == (told, 2)


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
    assert "no higher than they began: made" in str(found.notes)


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


def test_planted_peaks_are_found_and_their_difference() -> None:
    found = depths(tables.deep(12, 0.3, seed=1))
    peaks = peak_table(found)
    score = f"{tables.BRAIN} cka_debiased"
    assert peaks[score].value == pytest.approx(0.4, abs=0.1)
    apart = peak_difference(found)[tables.BRAIN]
    assert apart.low < 0.3 < apart.high
    assert apart.n == 12


def test_families_of_metrics() -> None:
    names = ["rsa", "mutual_knn", "excess_lag_rsa_spearman", "cka_debiased", "dcor", "r2"]
    names += ["rsa_pearson", "procrustes", "r2_corrected", "rv2"]
    assert [family_of(name) for name in names] == [
        "rank-based", "rank-based", "rank-based", "dependence", "dependence", "regression",
        "", "", "regression", "dependence",
    ]  # fmt: skip


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
    assert "p 0.001, n = 18; highest: all)" in found.answer
    assert found.answer.count("highest") == 1
    assert len(found.answer) < 400
    brain = over_encoders(
        made.heads.assign(score=made.heads["benchmark"]), list(compared(made).index)
    )
    rows_of = {(row.score, row.field): row for row in factors(brain, known_fields(made.encoders))}
    assert rows_of["fmri/made", "trained_on"].p < 0.01
    assert rows_of["fmri/made", "objective"].p > 0.05
    slope = rows_of["fmri/size", "parameters"].slope
    assert slope is not None
    assert slope.value == pytest.approx(1)
    assert any("family not known of 18" in note for note in found.notes)
