"""Which checkpoints are kept: the newest, or the best by a score."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from callbacks.checkpoints import ScheduledCheckpoint
from callbacks.evaluation import EvaluationCallback
from evaluation.rows import Failure, Score
from evaluation.schedule import Schedule
from tests.evaluation.toys import MeanBenchmark

R2 = "align/fmri/toy/r2"
ERRORS = "probe/toy/segment_1s_error_rate"
EVERY = Schedule(every=1, early=0)
VALUES = {0: 0.2, 1: 0.5, 2: 0.4, 3: 0.5, 4: 0.3}


class Run:
    """A run whose evaluation gives planned values; its checkpoints are their step."""

    def __init__(self, folder: Path, values: dict[int, float], **settings: Any) -> None:
        self.folder, self.values = folder, values
        self.evaluation = EvaluationCallback({"toy": MeanBenchmark("fmri/toy")}, EVERY, folder)
        self.saving = ScheduledCheckpoint(folder, EVERY, **settings)
        self.trainer: Any = SimpleNamespace(
            global_step=0,
            estimated_stepping_batches=4,
            is_global_zero=True,
            loggers=[],
            callbacks=[self.evaluation, self.saving],
            save_checkpoint=self.write,
        )

    def write(self, path: Path, weights_only: bool) -> None:
        path.write_text(str(self.trainer.global_step))

    def evaluate(self, step: int) -> None:
        self.trainer.global_step = step
        self.evaluation.visited.append(step)
        if step in self.values:
            metrics = [("fmri/toy", "r2"), ("probe/toy", "segment_1s_error_rate")]
            rows = [Score(*pair, "one", self.values[step], step=step) for pair in metrics]
            state = self.evaluation.state_dict()
            state["scores"] += [vars(row) for row in rows]
            self.evaluation.load_state_dict(state)

    def start(self, step: int = 0) -> None:
        if step == 0:
            self.evaluate(0)
        self.trainer.global_step = step
        self.saving.on_train_start(self.trainer, None)  # type: ignore[arg-type]

    def go_on(self, first: int = 1, last: int = 4) -> None:
        for step in range(first, last + 1):
            self.evaluate(step)
            self.saving.on_train_batch_end(self.trainer, None)  # type: ignore[arg-type]

    def kept(self) -> list[int]:
        return sorted(int(path.read_text()) for path in self.folder.glob("step_*.ckpt"))

    def named(self, name: str) -> int:
        return int((self.folder / f"{name}.ckpt").read_text())


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "kept", "best"),
    [
        ({"keep": 2}, [3, 4], None),
        ({"keep": 1, "monitor": R2}, [1, 4], 1),  # of equals the earliest
        ({"keep": 3, "monitor": R2}, [1, 2, 3, 4], 1),
        ({"keep": 2, "monitor": ERRORS}, [0, 4], 0),  # the newest is the second best
        ({"monitor": R2}, [0, 1, 2, 3, 4], 1),
    ],
)
def test_the_newest_or_the_best_are_kept(
    tmp_path: Path, settings: dict[str, Any], kept: list[int], best: int | None
) -> None:
    run = Run(tmp_path, VALUES, **settings)
    run.start()
    run.go_on()
    assert run.kept() == kept
    assert run.named("last") == 4
    assert (tmp_path / "best.ckpt").exists() == (best is not None)
    assert best is None or run.named("best") == best


@pytest.mark.long
def test_after_a_kill_before_tidying_the_same_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, VALUES, keep=1, monitor=R2)
    run.start()
    run.go_on(last=2)
    with monkeypatch.context() as patch:
        patch.setattr(ScheduledCheckpoint, "_tidy", lambda *_: None)
        run.go_on(first=3, last=3)
    assert run.kept() == [1, 2, 3]
    resumed = Run(tmp_path, VALUES, keep=1, monitor=R2)
    resumed.evaluation.load_state_dict(run.evaluation.state_dict())
    resumed.start(step=3)
    assert resumed.kept() == [1, 3]
    resumed.go_on(first=4)
    assert resumed.kept() == [1, 4]
    assert (resumed.named("best"), resumed.named("last")) == (1, 4)


def test_a_step_without_the_score_is_never_the_best(tmp_path: Path) -> None:
    run = Run(tmp_path, {step: VALUES[step] for step in (0, 2)}, keep=1, monitor=R2)
    run.start()
    run.go_on()
    assert run.kept() == [2, 4]
    assert run.named("best") == 2


def test_an_unknown_score_is_refused_before_anything_is_saved(tmp_path: Path) -> None:
    run = Run(tmp_path, VALUES, monitor="align/fmri/toy/r")
    with pytest.raises(ValueError, match=r"toy/r is no score .* mean align/fmri/toy/r2"):
        run.start()
    assert not list(tmp_path.iterdir())


def test_a_benchmark_that_failed_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, {2: 0.1, 3: 0.2}, keep=1, monitor=R2)
    run.evaluation.failures = [Failure("fmri/toy", "no labels", step=step) for step in (0, 1)]
    run.start()
    run.go_on(last=1)
    assert "no value of align/fmri/toy/r2 yet: its benchmark failed" in caplog.text
    assert not (tmp_path / "best.ckpt").exists()
    run.go_on(first=2)
    assert run.kept() == [3, 4]
    other = Run(tmp_path / "other", {2: 0.1}, monitor="align/fmri/toy/r3")
    other.evaluation.failures = [Failure("fmri/toy", "no labels", step=step) for step in (0, 1)]
    other.start()
    with pytest.raises(ValueError, match="is no score"):
        other.go_on()


def test_a_monitor_needs_an_evaluation(tmp_path: Path) -> None:
    run = Run(tmp_path, VALUES, monitor=R2)
    run.trainer.callbacks = [run.saving]
    with pytest.raises(ValueError, match=r"nothing is evaluated: leave callbacks\.evaluation"):
        run.start()


def test_nothing_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep=0: expected 1 or more"):
        ScheduledCheckpoint(tmp_path, EVERY, keep=0)
