"""Every benchmark under conf/ keeps its contract: noise scores nothing, the answer the ceiling."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.stimuli import TimedResponseSet
from evaluation.benchmark import Benchmark, Score
from evaluation.features import POOLED, Features
from evaluation.summaries import SELECTED
from launch import CONF, build_benchmarks
from tests.composing import config, options


def benchmark_options() -> list[Any]:
    """Names of all benchmarks; those that read files of data sets are marked."""
    names = options("benchmark", "*/*.yaml")
    reads = {n: "${paths.data}" in (CONF / "benchmark" / f"{n}.yaml").read_text() for n in names}
    return [pytest.param(n, marks=pytest.mark.data if reads[n] else ()) for n in names]


@cache
def built(name: str) -> Any:
    benchmarks, failures = build_benchmarks(config(Path("nowhere"), f"benchmark=[{name}]"))
    if failures and "are had from their authors" in failures[0].error:
        pytest.skip(failures[0].error)
    assert not failures
    return benchmarks[name]


@pytest.fixture
def benchmark(request: pytest.FixtureRequest) -> Any:
    if request.node.get_closest_marker("data"):
        request.getfixturevalue("data")
    return built(request.param)


def of_benchmarks(test: Any) -> Any:
    return pytest.mark.parametrize("benchmark", benchmark_options(), indirect=True)(test)


def scores(benchmark: Any, *layers: Tensor) -> list[Score]:
    """Scores of layers that are given as one vector a stimulus, or as equal frames over 2 s."""
    features = [Features(values.float()) for values in layers]
    if benchmark.pooling == "frames":
        full = torch.full((len(benchmark.stimuli),), 100)
        features = [
            Features(f.values[:, None].expand(-1, 100, -1), full, 50.0, 0.01) for f in features
        ]
    return benchmark.score({f"layer.{i}": f for i, f in enumerate(features)})


def mean(rows: list[Score], metric: str) -> float:
    return float(np.mean([row.value for row in rows if row.metric == metric]))


@of_benchmarks
def test_benchmarks_keep_the_contract(benchmark: Any, request: pytest.FixtureRequest) -> None:
    assert isinstance(benchmark, Benchmark)
    assert benchmark.name == request.node.callspec.params["benchmark"]
    assert benchmark.pooling in {*POOLED, "frames"}
    waveform = benchmark.stimuli.waveform(0, 24_000)
    assert waveform.ndim == 1
    assert waveform.dtype == torch.float32
    assert torch.isfinite(waveform).all()
    assert waveform.abs().max() > 0
    n = len(benchmark.stimuli)
    rows = scores(benchmark, torch.randn(n, 4), torch.randn(n, 4))
    assert {row.layer for row in rows} - {SELECTED, "responses"} == {"layer.0", "layer.1"}
    assert {row.benchmark for row in rows} == {benchmark.name}
    assert {row.n for row in rows} == {n}
    held = benchmark.responses if hasattr(benchmark, "responses") else benchmark.task
    assert {row.simulated for row in rows} == {held.provenance.simulated}
    assert held.provenance.source
    assert held.provenance.licence
    assert held.folds.unique().numel() >= 2


@of_benchmarks
def test_noise_scores_nothing(benchmark: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = scores(benchmark, torch.randn(len(benchmark.stimuli), 20, generator=generator))
    for metric in {row.metric for row in rows}:
        if metric in ("r2", "lag_r2", "r2_added", "r2_share"):
            assert mean(rows, metric) < 0.1
        elif metric in ("rsa", "rsa_halves"):
            assert abs(mean(rows, metric)) < 0.1
        elif metric.endswith("accuracy"):
            assert abs(mean(rows, metric) - 1 / len(benchmark.task.classes)) < 0.15
        else:
            pytest.fail(f"say here what noise scores in {metric}")


@of_benchmarks
def test_the_answer_itself_scores_the_ceiling(benchmark: Any) -> None:
    if hasattr(benchmark, "responses"):
        timed = isinstance(benchmark.responses, TimedResponseSet)
        answer = benchmark.mean if timed else benchmark.responses.values
        rows = [row for row in scores(benchmark, answer) if not row.window]
        regression = [row.value for row in rows if row.metric == "r2"]
        assert min(regression, default=1) > 0.99
        for metric in {row.metric for row in rows} & {"rsa", "rsa_halves"}:
            assert mean(rows, metric) == pytest.approx(1, abs=2e-3)
        return
    generator = torch.Generator().manual_seed(0)
    labels = torch.nn.functional.one_hot(benchmark.task.labels).float()
    rows = scores(benchmark, labels + 0.01 * torch.randn(labels.shape, generator=generator))
    assert mean(rows, "linear_accuracy") > 0.99
    assert mean(rows, "knn_accuracy") > 0.99
