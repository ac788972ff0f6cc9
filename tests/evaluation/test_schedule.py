"""At which steps a run is evaluated and saved."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.schedule import Schedule


@pytest.mark.parametrize(
    ("every", "early", "last", "steps"),
    [
        (100, 4, 300, [0, 6, 12, 25, 50, 100, 200, 300]),
        (100, 0, 250, [0, 100, 200, 250]),
        (100, 2, 30, [0, 25, 30]),
        (2, 4, 5, [0, 1, 2, 4, 5]),
        (1, 4, 3, [0, 1, 2, 3]),
        (1000, 4, 0, [0]),
    ],
)
def test_visits(every: int, early: int, last: int, steps: list[int]) -> None:
    schedule = Schedule(every, early)
    assert [step for step in range(last + 1) if schedule.due(step, last)] == steps


@pytest.mark.parametrize(("every", "early"), [(0, 4), (-5, 0), (10, -1), ("ten", 0), (2.5, 0)])
def test_a_schedule_without_sense_is_refused(every: Any, early: int) -> None:
    with pytest.raises(ValueError, match=f"every={every}, early={early}: expected every >= 1"):
        Schedule(every, early)
