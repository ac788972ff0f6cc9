"""Checkpoints are evaluated once, whatever is killed, broken or gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from commands.watching.watcher import Plan, Watcher
from evaluation.features import Features
from evaluation.rows import Score, read_scores
from tests.evaluation.toys import MeanBenchmark, ToyEncoder, sounds


class Ledger:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.given.append((step, values))


class Killed(BaseException):
    """Stand-in for kill -9."""


class Full(MeanBenchmark):
    """Has a full form that says one thing more."""

    def in_full(self) -> MeanBenchmark:
        return More(self.name, self.stimuli)


class More(MeanBenchmark):
    def score(self, features: Mapping[str, Features]) -> list[Score]:
        rows = super().score(features)
        return [*rows, *(replace(row, metric="more") for row in rows)]


class Run:
    """The folder of a run of ten steps; its checkpoints hold a gain."""

    def __init__(self, folder: Path) -> None:
        self.checkpoints, self.folder = folder / "checkpoints", folder / "watch"
        self.checkpoints.mkdir()
        self.logger = Ledger()
        self.encoders: list[ToyEncoder] = []
        self.settings = "quick"
        self.benchmarks: list[MeanBenchmark] = [
            MeanBenchmark("probe/one", sounds("one")),
            Full("probe/two", sounds("two", (20, 30))),
        ]

    def save(self, step: int, gain: float = 1.0) -> Path:
        path = self.checkpoints / f"step_{step:08d}.ckpt"
        origin = {"last_step": 10, "hours_per_step": 0.5, "config": {}, "run_id": "abcd"}
        torch.save({"entrain": origin, "gain": gain + step, "global_step": step}, path)
        return path

    def load(self, path: Path) -> ToyEncoder:
        content = torch.load(path, weights_only=True)
        encoder = ToyEncoder(content["gain"], "model")
        encoder.step = content["global_step"]  # type: ignore[assignment]
        self.encoders.append(encoder)
        return encoder

    def watcher(self, **changes: Any) -> Watcher:
        plan = Plan(
            "test",
            self.benchmarks,
            lambda name, full: self.settings + " in full" * full,
            baselines=[ToyEncoder(0.5, "floor")],
            loggers=[self.logger],  # type: ignore[list-item]
        )
        made = replace(plan, **changes)
        return Watcher(
            self.folder, lambda origin: made, self.load, torch.device("cpu"), progress=False
        )

    def scores(self) -> list[Score]:
        return read_scores(self.folder / "scores.jsonl")

    def failures(self) -> list[dict[str, Any]]:
        text = (self.folder / "failures.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(
        "commands.watching.watcher.show_trajectory", lambda *_: None
    )  # takes its time
    return Run(tmp_path)


def test_a_checkpoint_is_scored_once_and_the_last_in_full(run: Run) -> None:
    watcher = run.watcher()
    paths = [run.save(0), run.save(10)]
    assert [watcher.visit(path) for path in paths] == [False, True]
    rows = run.scores()
    assert [(row.step, row.benchmark, row.metric) for row in rows] == [
        *[(0, "probe/one", "mean")] * 2,
        *[(0, "probe/two", "mean")] * 2,
        *[(10, "probe/one", "mean")] * 2,
        *[(10, "probe/two", "mean")] * 2,
        *[(10, "probe/two", "more")] * 2,
    ]
    floor = read_scores(run.folder / "baselines.jsonl")
    assert [(row.encoder, row.step) for row in floor] == [("floor", None)] * 4
    assert [step for step, _ in run.logger.given] == [0, 10]
    keys = run.logger.given[1][1]
    assert keys["train/hours"] == 5
    assert keys["probe/one/mean"] == max(row.value for row in rows[4:6])
    before = {path: path.read_bytes() for path in run.folder.glob("*.jsonl")}
    again = run.watcher()
    assert [again.visit(path) for path in paths] == [False, True]
    again.close()
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not any(encoder.batches for encoder in run.encoders[2:])
    assert len(run.logger.given) == 2
    assert not run.failures()


def test_after_a_kill_only_what_was_not_whole_is_scored(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, path = run.watcher(), run.save(4)

    def killed(self: object, features: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Full, "score", killed)
        with pytest.raises(Killed):
            first.visit(path)
    kept = run.scores()
    assert {row.benchmark for row in kept} == set()  # it was killed at the floor, which is first
    assert len(read_scores(run.folder / "baselines.jsonl")) == 2
    second = run.watcher(baselines=[])
    with monkeypatch.context() as patch:
        patch.setattr(Full, "score", killed)
        with pytest.raises(Killed):
            second.visit(path)
    kept = run.scores()
    assert {row.benchmark for row in kept} == {"probe/one"}
    assert not run.logger.given
    run.benchmarks[0].given.clear()
    run.watcher().visit(path)
    assert run.scores()[:2] == kept
    assert [row.benchmark for row in run.scores()] == ["probe/one"] * 2 + ["probe/two"] * 2
    assert len(read_scores(run.folder / "baselines.jsonl")) == 4
    assert not run.benchmarks[0].given
    ((step, keys),) = run.logger.given
    assert step == 4
    assert {"probe/one/mean", "probe/two/mean"} <= set(keys)


def test_what_was_scored_and_not_logged_is_logged_after_a_kill(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.save(4)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("commands.watching.watcher.log_step", killed)
        with pytest.raises(Killed):
            run.watcher().visit(path)
    assert not run.logger.given
    before = run.scores()
    run.watcher().visit(path)
    assert [step for step, _ in run.logger.given] == [4]
    assert run.scores() == before
    run.watcher().visit(path)
    assert len(run.logger.given) == 1


def test_what_cannot_be_read_is_a_failure_and_the_others_are_scored(run: Run) -> None:
    watcher = run.watcher()
    whole = run.save(2)
    incomplete = run.save(0)
    incomplete.write_bytes(incomplete.read_bytes()[:100])
    foreign = run.checkpoints / "step_00000001.ckpt"
    torch.save({"state_dict": {}}, foreign)
    gone = run.checkpoints / "step_00000003.ckpt"
    for path in (incomplete, foreign, whole, gone):
        assert not watcher.visit(path)
    assert {row.step for row in run.scores()} == {2}
    failures = run.failures()
    assert [failure["step"] for failure in failures] == [0, 1, 3]
    assert "step_00000000.ckpt cannot be read as a checkpoint" in failures[0]["error"]
    assert "is no checkpoint of train.py" in failures[1]["error"]
    assert failures[2]["error"] == "step_00000003.ckpt was deleted before it was scored"
    assert len(watcher.failures) == 3
    again = run.watcher()
    whole.unlink()
    again.visit(whole)  # it was scored before
    assert not again.failures


def test_a_model_that_lacks_a_file_is_told_from_a_checkpoint_that_is_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(path: Path) -> ToyEncoder:
        raise FileNotFoundError("no codec weights at codec.th")

    monkeypatch.setattr(run, "load", lacking)
    run.watcher().visit(run.save(2))
    (failure,) = run.failures()
    assert failure["error"] == "step_00000002.ckpt: no codec weights at codec.th"


def test_a_benchmark_that_fails_is_tried_again_by_the_next_start(run: Run) -> None:
    path, broken = run.save(2), run.benchmarks[0]
    broken.error = ValueError("no labels today")
    watcher = run.watcher(baselines=[])
    watcher.visit(path)
    assert {row.benchmark for row in run.scores()} == {"probe/two"}
    assert ["no labels today" in failure["error"] for failure in run.failures()] == [True]
    assert run.logger.given[0][1]["eval/failed"] == 1
    broken.error = None
    run.watcher(baselines=[]).visit(path)
    assert {row.benchmark for row in run.scores()} == {"probe/one", "probe/two"}
    assert not run.failures()


def test_other_weights_and_other_settings_are_scored_anew(run: Run) -> None:
    run.watcher().visit(run.save(2))
    first = run.scores()
    run.watcher().visit(run.save(2, gain=7.0))
    second = run.scores()
    assert len(second) == len(first)
    assert {r.fingerprint for r in first}.isdisjoint(r.fingerprint for r in second)
    run.settings = "otherwise"
    run.benchmarks[0].given.clear()
    run.watcher().visit(run.checkpoints / "step_00000002.ckpt")
    assert run.benchmarks[0].given
    plain = [replace(row, seconds=None) for row in run.scores()]
    assert plain == [replace(row, seconds=None) for row in second]


def test_benchmarks_that_join_later_are_logged_alone(run: Run) -> None:
    path, later = run.save(2), run.benchmarks.pop()
    run.watcher().visit(path)
    run.benchmarks.append(later)
    run.watcher().visit(path)
    names = [{key for key in keys if key.startswith("probe/")} for _, keys in run.logger.given]
    assert names == [{"probe/one/mean"}, {"probe/two/mean"}]


def test_steps_whose_checkpoints_are_gone_are_named(run: Run) -> None:
    run.watcher(skipped=[0, 1]).visit(run.save(2))
    assert [failure["step"] for failure in run.failures()] == [0, 1]
