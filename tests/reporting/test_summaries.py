"""Best, last and mean of trajectories, against plain sums."""

from __future__ import annotations

import math

import pytest

from reporting.summaries import area, best_index, key_summaries, lower_is_better

KEYS = {
    0: {"align/fmri/a/r2": 0.1, "probe/b/segment_1s_error_rate": 0.9},
    10: {"align/fmri/a/r2": 0.5, "probe/b/segment_1s_error_rate": 0.4},
    40: {"align/fmri/a/r2": 0.3, "probe/b/segment_1s_error_rate": 0.6, "probe/c/mlp_map": 0.2},
}


def test_best_final_and_area_of_every_key() -> None:
    found = key_summaries({step: KEYS[step] for step in (40, 0, 10)})
    assert found == {
        "align/fmri/a/r2/best_optimistic": 0.5,
        "align/fmri/a/r2/final": 0.3,
        "align/fmri/a/r2/area": pytest.approx((10 * 0.3 + 30 * 0.4) / 40),
        "probe/b/segment_1s_error_rate/best_optimistic": 0.4,
        "probe/b/segment_1s_error_rate/final": 0.6,
        "probe/b/segment_1s_error_rate/area": pytest.approx((10 * 0.65 + 30 * 0.5) / 40),
        "probe/c/mlp_map/best_optimistic": 0.2,
        "probe/c/mlp_map/final": 0.2,
    }


def test_a_step_without_a_key_is_bridged() -> None:
    keys = {0: {"a": 1.0}, 5: {}, 10: {"a": 3.0}}
    assert key_summaries(keys)["a/area"] == pytest.approx(2.0)


def test_the_mean_of_a_constant_is_that_constant() -> None:
    assert area([3, 4, 100], [0.7, 0.7, 0.7]) == pytest.approx(0.7)


@pytest.mark.parametrize("steps", [[5], [5, 5], [math.nan, math.nan]])
def test_without_two_steps_there_is_no_area(steps: list[float]) -> None:
    assert math.isnan(area(steps, [1.0] * len(steps)))


def test_of_equals_the_first_is_best() -> None:
    assert best_index([0.1, 0.5, 0.5], lower=False) == 1
    assert best_index([0.1, 0.5, 0.1], lower=True) == 0


def test_errors_are_better_low_also_of_one_target() -> None:
    assert lower_is_better("probe/maestro/segment_1s_error_rate/piano")
    assert not lower_is_better("align/fmri/simulated/r2")
