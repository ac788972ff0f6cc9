"""Checkpoints come in the order of their steps, each once, and there is an end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.watching.arrivals import Arrivals
from models.checkpoint import step_of


class Clock:
    """Time that passes while sleeping; ``then`` is done at the first sleep."""

    def __init__(self, *then: Callable[[], object]) -> None:
        self.now, self.then = 0.0, list(then)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.then:
            self.then.pop(0)()


def saved(folder: Path, *steps: int) -> None:
    for step in steps:
        draft = folder / f".step_{step:08d}.ckpt.tmp"
        draft.write_text(str(step))
        draft.replace(folder / f"step_{step:08d}.ckpt")


def steps(arrivals: Arrivals, last: int | None = None) -> list[int]:
    seen = []
    for path in arrivals:
        seen.append(step_of(path))
        arrivals.finished = seen[-1] == last
    return seen


def test_each_comes_once_in_order_until_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 100, 20, 0)
    os.link(tmp_path / "step_00000100.ckpt", tmp_path / "last.ckpt")
    (tmp_path / ".step_00000300.ckpt.tmp").write_text("half")
    clock = Clock(lambda: saved(tmp_path, 200), lambda: None, lambda: saved(tmp_path, 300))
    monkeypatch.setattr("commands.watching.arrivals.time", clock)
    assert steps(Arrivals(tmp_path, every=5), last=300) == [0, 20, 100, 200, 300]
    assert clock.now == 15


def test_nothing_new_for_a_while_is_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda: None, lambda: saved(tmp_path, 0))
    monkeypatch.setattr("commands.watching.arrivals.time", clock)
    assert steps(Arrivals(tmp_path / "later", every=2, until_idle=3)) == []
    assert clock.now == 4
    clock.then = [lambda: None, lambda: saved(tmp_path, 20)]
    assert steps(Arrivals(tmp_path, every=2, until_idle=5)) == [0, 20]


def test_one_that_went_before_its_turn_comes_all_the_same(tmp_path: Path) -> None:
    saved(tmp_path, 0, 20, 40)
    seen = []
    for path in Arrivals(tmp_path, until_idle=0):
        seen.append((step_of(path), path.exists()))
        (tmp_path / "step_00000020.ckpt").unlink(missing_ok=True)
    assert seen == [(0, True), (20, False), (40, True)]


def test_one_that_is_written_anew_comes_again(tmp_path: Path) -> None:
    saved(tmp_path, 0, 20)
    seen = []
    for path in Arrivals(tmp_path, until_idle=0):
        seen.append(step_of(path))
        if len(seen) == 2:
            saved(tmp_path, 0)
    assert seen == [0, 20, 0]


@pytest.mark.parametrize("settings", [{"every": 0}, {"until_idle": -1}])
def test_seconds_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected seconds above 0"):
        Arrivals(tmp_path, **settings)
