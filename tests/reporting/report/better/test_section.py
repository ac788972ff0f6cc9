"""Alignment against usefulness, and the tables over encoders that both are read from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reporting.gathering.downstream_scores import downstream, global_scores
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import (
    alignment_heads,
    best_targets,
    layer_profiles,
    missing_notes,
    over_encoders,
    over_targets,
)
from reporting.report.better import section as better
from reporting.report.better.statistics import ABOVE, ALL, associations, pairing, partials
from reporting.report.depth import section as depth
from reporting.report.depth.statistics import agreement
from reporting.report.drivers import section as drivers
from reporting.report.emergence import section as emergence
from reporting.report.shortcut import section as shortcut
from reporting.statistics.correlations import correlate
from reporting.tables import headlines, target_headlines
from tests.reporting.comparison import tables

SECTIONS = [module.section for module in (better, shortcut, emergence, depth, drivers)]


@pytest.fixture(scope="module")
def encoders() -> Gathered:
    return tables.correlated(16, 0.8, seed=1, floor=-0.5)


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
        about[name] = {"family": "ours" if trained else f"untrained {i % 4}"}
    made = tables.gathered(rows, about)
    found = better.section(made)
    first = associations(pairing(made))[0]
    assert first.pearson.low > 0.8
    assert abs(first.pearson_left.low) < 0.7
    assert "(lowest without ours)" in found.answer
    assert found.answer.startswith("Over 5 families fmri/made r2 goes with the frozen score (z)")
    assert "over 14 encoders as units (related ones counted as independent)" in found.answer
    assert first.by_family.low < first.pearson.low
    assert "have an interval above 0 with families as units, 1 with encoders" in found.answer


def test_few_families_are_no_units() -> None:
    found = better.section(tables.correlated(12, 0.9, seed=1))
    assert found.answer.startswith("Over 12 encoders as units")
    assert "4 families are too few" in found.answer


def test_intervals_are_adjusted_for_the_number_of_scores() -> None:
    made = pairing(tables.correlated(12, 0.7, seed=1))
    one = associations(made)[0]
    twice = replace(made, brain=pd.concat([made.brain, made.brain.add_suffix(" again")], axis=1))
    row = associations(twice)[0]
    assert row.pearson.value == one.pearson.value
    assert row.pearson.low < one.pearson.low
    x, y = made.brain.iloc[:, 0].to_numpy(), made.scores[0].values.to_numpy()
    assert row.pearson.low == pytest.approx(correlate(x, y, level=0.975).low)


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
