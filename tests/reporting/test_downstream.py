"""Scores over tasks: the reference's own mean is 0, and no model moves the score of another."""

from __future__ import annotations

import pandas as pd
import pytest

from reporting.downstream import frozen_score, global_keys, reference, relative_score, task_scores
from reporting.tables import score_table


def row(benchmark: str, metric: str, value: float, **fields: object) -> dict[str, object]:
    return {
        "benchmark": benchmark, "metric": metric, "value": value, "layer": "mix",
        "encoder": "model", "chance": 0.1, **fields,
    }  # fmt: skip


def at(places: dict[str, float], **fields: object) -> list[dict[str, object]]:
    """Rows at so many standard deviations from the mean of the reference."""
    known = reference()
    return [
        row(name, f"mlp_{ref.measure}", ref["mean"] + places[name] * ref.sd, **fields)
        for name, ref in known.iterrows()
        if name in places
    ]


SIX = tuple(reference().index)


def test_the_mean_of_the_reference_scores_0_and_a_deviation_above_it_1() -> None:
    zero = frozen_score(task_scores(score_table(at(dict.fromkeys(SIX, 0.0)))))
    assert zero["z"].item() == pytest.approx(0, abs=1e-9)
    assert zero["tasks"].item() == 6
    mixed = frozen_score(task_scores(score_table(at(dict(zip(SIX, range(6), strict=True))))))
    assert mixed["z"].item() == pytest.approx(2.5)


def test_missing_tasks_are_left_out_and_the_others_named() -> None:
    found = frozen_score(task_scores(score_table(at({"probe/gtzan": 1.0, "probe/esc50": 2.0}))))
    assert found["z"].item() == pytest.approx(1.5)
    assert found["names"].item() == "gtzan, esc50"


def test_loggers_are_given_the_frozen_score_where_there_is_one() -> None:
    rows = at({"probe/gtzan": 1.0, "probe/esc50": 2.0})
    keys = global_keys(score_table(rows))
    assert keys == {"probe/global/z": pytest.approx(1.5), "probe/global/tasks": 2.0}
    assert global_keys(score_table([row("probe/made", "knn_accuracy", 0.5)])) == {}
    assert global_keys(score_table([row("fmri/made", "r2", 0.5)])) == {}


def test_another_model_does_not_move_the_frozen_score_but_the_relative_one() -> None:
    one, two = dict.fromkeys(SIX, 0.5), dict.fromkeys(SIX, 1.0)
    rows = at(one, encoder="a") + at(two, encoder="b")
    alone = task_scores(score_table(at(one, encoder="a")))
    pair = task_scores(score_table(rows))
    three = task_scores(score_table(rows + at(dict.fromkeys(SIX, 3.0), encoder="c")))
    for tasks in (pair, three):
        scored = frozen_score(tasks).set_index("encoder")["z"]
        assert scored["a"] == frozen_score(alone)["z"].item()
    assert relative_score(pair).set_index("encoder")["z"]["a"] == pytest.approx(-(2**-0.5))
    values = pd.Series([0.5, 1.0, 3.0])
    expected = (values - values.mean()) / values.std()
    assert relative_score(three)["z"].tolist() == pytest.approx(expected.tolist())
    with pytest.raises(ValueError, match="1 of 1 encoders have all of 6 tasks"):
        relative_score(alone)


def test_the_probe_that_stands_for_a_task_is_the_best_founded() -> None:
    rows = [
        row("probe/made", "knn_accuracy", 0.9, layer="deep"),
        row("probe/made", "linear_accuracy", 0.4, layer="shallow"),
        row("probe/made", "linear_accuracy", 0.55, layer="deep"),
        row("probe/nsynth_pitch_50h", "linear_chroma_accuracy", 0.9, layer="deep"),
        row("probe/nsynth_pitch_50h", "linear_pitch_accuracy", 0.6209, layer="deep"),
        row("fmri/made", "r2", 0.3),
    ]
    made, pitch = task_scores(score_table(rows)).itertuples()
    assert (made.metric, made.layer, made.value) == ("linear_accuracy", "deep", 0.55)
    assert made.normalised == pytest.approx(0.5)
    assert pd.isna(made.z)
    assert pitch.metric == "linear_pitch_accuracy"
    assert pitch.z == pytest.approx(0)
    better = [*rows, row("probe/made", "mlp_accuracy", 0.5)]
    assert task_scores(score_table(better)).iloc[0].metric == "mlp_accuracy"
