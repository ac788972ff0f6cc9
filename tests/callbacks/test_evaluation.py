"""Evaluation during training: it leaves the run as it was, and its rows survive a restart."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from callbacks.evaluation import EvaluationCallback, hours_per_step
from evaluation.features import Features
from evaluation.rows import Score, read_scores
from evaluation.schedule import Schedule
from models.encoder import Frames
from tests.evaluation.toys import MeanBenchmark, ToyEncoder


class Restless(ToyEncoder):
    """Stands in for a LightningModule whose encoding draws from every generator."""

    device = torch.device("cpu")

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        torch.rand(3)
        np.random.rand(3)  # noqa: NPY002 - the generator that Lightning seeds
        random.random()
        assert not torch.is_autocast_enabled("cpu")
        return super().encode(audio, lengths)


class Ledger:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: dict[str, float] = {}

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.steps.append(step)
        self.values = values


def trainer(step: int = 0, last: int = 10, rank: int = 0) -> Any:
    return SimpleNamespace(
        global_step=step,
        estimated_stepping_batches=last,
        is_global_zero=rank == 0,
        loggers=[Ledger()],
        datamodule=SimpleNamespace(hours_per_batch=0.5),
        world_size=4,
        accumulate_grad_batches=2,
        callback_metrics={},
    )


def callback(folder: Path, **changes: Any) -> EvaluationCallback:
    settings: dict[str, Any] = {
        "benchmarks": {"probe/toy": MeanBenchmark("probe/toy")},
        "schedule": Schedule(every=4, early=1),
        "folder": folder,
        "progress": False,
    }
    return EvaluationCallback(**settings | changes)


def draws() -> tuple[float, float, float]:
    return float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002


def seed() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)


def test_random_generators_weights_and_modes_are_left_as_they_were(tmp_path: Path) -> None:
    seed()
    expected = draws()
    module = Restless()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    seed()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        callback(tmp_path, baselines={"other": Restless()}).on_train_start(trainer(), module)  # type: ignore[arg-type]
    assert draws() == expected
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert all(m.training for m in module.modules())


class Quick(MeanBenchmark):
    """Has a full form that says one thing more."""

    def in_full(self) -> MeanBenchmark:
        return Full(self.name)


class Full(MeanBenchmark):
    def score(self, features: Mapping[str, Features]) -> list[Score]:
        rows = super().score(features)
        return [*rows, *(replace(row, metric="more") for row in rows)]


@pytest.mark.long
@pytest.mark.parametrize("full_at_end", [True, False])
def test_the_full_form_is_taken_at_the_last_step(tmp_path: Path, full_at_end: bool) -> None:
    benchmarks = {"probe/toy": Quick("probe/toy")}
    evaluation = callback(tmp_path, benchmarks=benchmarks, full_at_end=full_at_end)
    module = Restless()
    evaluation.on_train_start(trainer(), module)  # type: ignore[arg-type]
    for step in range(1, 11):
        evaluation.on_train_batch_end(trainer(step), module)  # type: ignore[arg-type]
    more = {row.step for row in read_scores(tmp_path / "scores.jsonl") if row.metric == "more"}
    assert more == ({10} if full_at_end else set())


def test_steps_of_the_schedule_are_visited_once(tmp_path: Path) -> None:
    evaluation, module = callback(tmp_path), Restless()
    evaluation.on_train_start(trainer(), module)  # type: ignore[arg-type]
    for step in range(1, 11):
        for _ in range(2):  # as with accumulated gradients: two batches end at one step
            evaluation.on_train_batch_end(trainer(step), module)  # type: ignore[arg-type]
    assert evaluation.visited == [0, 2, 4, 8, 10]
    rows = read_scores(tmp_path / "scores.jsonl")
    assert [row.step for row in rows] == [step for step in (0, 2, 4, 8, 10) for _ in range(2)]
    assert rows == evaluation.scores
    assert (tmp_path / "trajectory.html").exists()


def test_other_callbacks_find_the_newest_scores_and_no_others(tmp_path: Path) -> None:
    benchmarks = {"a": MeanBenchmark("probe/toy"), "b": MeanBenchmark("probe/frail")}
    evaluation, run = callback(tmp_path, benchmarks=benchmarks), trainer()
    evaluation.on_train_start(run, Restless())  # type: ignore[arg-type]
    given = run.loggers[0].values
    assert 0 < given["eval/share_of_wall_time"] <= 1
    expected = {key: given[key] for key in ("probe/toy/mean", "probe/frail/mean")}
    assert {key: value.item() for key, value in run.callback_metrics.items()} == expected
    benchmarks["b"].error = ValueError("no labels today")
    run.global_step = 2
    run.callback_metrics["val/loss"] = torch.tensor(1.0)
    evaluation.on_train_batch_end(run, Restless())  # type: ignore[arg-type]
    assert set(run.callback_metrics) == {"val/loss", "probe/toy/mean"}
    resumed, other = callback(tmp_path, benchmarks=benchmarks), trainer(step=3, rank=1)
    resumed.load_state_dict(evaluation.state_dict())
    resumed.on_train_start(other, Restless())  # type: ignore[arg-type]
    assert resumed.headlines == evaluation.headlines
    assert list(resumed.headlines) == [0, 2]
    assert other.callback_metrics == {"probe/toy/mean": run.callback_metrics["probe/toy/mean"]}


def test_state_comes_back_through_a_safe_checkpoint(tmp_path: Path) -> None:
    broken = MeanBenchmark("probe/broken", error=ValueError("no labels today"))
    benchmarks = {"a": MeanBenchmark("probe/toy"), "b": broken}
    changes = {"benchmarks": benchmarks, "baselines": {"other": ToyEncoder(2.0, "other")}}
    first = callback(tmp_path / "one", **changes)
    first.on_train_start(trainer(), Restless())  # type: ignore[arg-type]
    first.on_train_batch_end(trainer(2), Restless())  # type: ignore[arg-type]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)

    second = callback(tmp_path / "two", **changes)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.scores == first.scores
    assert second.failures == first.failures
    assert second.baseline_scores == first.baseline_scores
    assert {row.encoder for row in second.baseline_scores} == {"other"}
    assert second.visited == [0, 2]
    second.on_train_start(trainer(2), Restless())  # type: ignore[arg-type]
    for name in ("scores.jsonl", "baselines.jsonl", "failures.jsonl"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "one" / name).read_text()


def test_a_run_that_goes_on_from_step_0_evaluates_nothing_twice(tmp_path: Path) -> None:
    changes = {"baselines": {"other": ToyEncoder(2.0, "other")}}
    first, module = callback(tmp_path, **changes), Restless()
    first.on_train_start(trainer(), module)  # type: ignore[arg-type]
    rows = (tmp_path / "baselines.jsonl").read_text()
    resumed, run = callback(tmp_path, **changes), trainer()
    resumed.load_state_dict(first.state_dict())
    resumed.on_train_start(run, module)  # type: ignore[arg-type]
    assert (tmp_path / "baselines.jsonl").read_text() == rows
    assert resumed.baseline_scores == first.baseline_scores
    assert set(run.callback_metrics) == set(resumed.headlines[0])


def test_rows_later_than_the_checkpoint_are_taken_off_the_disk(tmp_path: Path) -> None:
    first, module = callback(tmp_path), Restless()
    first.on_train_start(trainer(), module)  # type: ignore[arg-type]
    state = first.state_dict()
    first.on_train_batch_end(trainer(2), module)  # type: ignore[arg-type]
    assert {row.step for row in read_scores(tmp_path / "scores.jsonl")} == {0, 2}
    resumed = callback(tmp_path)
    resumed.load_state_dict(state)
    resumed.on_train_start(trainer(0), module)  # type: ignore[arg-type]
    assert {row.step for row in read_scores(tmp_path / "scores.jsonl")} == {0}


def test_when_all_benchmarks_fail_the_run_goes_on(tmp_path: Path) -> None:
    broken = {"a": MeanBenchmark("probe/broken", error=ValueError("no labels today"))}
    module, run = Restless(), trainer()
    callback(tmp_path, benchmarks=broken).on_train_start(run, module)  # type: ignore[arg-type]
    assert run.loggers[0].values["eval/failed"] == 1
    assert not run.callback_metrics
    assert "no labels today" in (tmp_path / "failures.jsonl").read_text()
    with pytest.raises(RuntimeError, match="no labels today"):
        callback(tmp_path, benchmarks=broken, on_error="raise").on_train_start(trainer(), module)  # type: ignore[arg-type]


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    evaluation, other = callback(tmp_path / "run"), trainer(rank=1)
    evaluation.on_train_start(other, Restless())  # type: ignore[arg-type]
    assert evaluation.visited == [0]
    assert evaluation.scores
    assert not (tmp_path / "run").exists()
    assert not other.loggers[0].steps


def test_without_benchmarks_nothing_is_evaluated(tmp_path: Path) -> None:
    module, run = Restless(), trainer()
    callback(tmp_path, benchmarks={}).on_train_start(run, module)  # type: ignore[arg-type]
    assert not module.batches
    assert not run.loggers[0].steps


def test_hours_of_a_step_count_ranks_and_accumulation() -> None:
    assert hours_per_step(trainer()) == 0.5 * 4 * 2
