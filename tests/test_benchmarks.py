"""Every benchmark under conf/ keeps its contract: noise scores nothing, the answer the ceiling."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from commands.folders import CONF
from datamodules.stimuli import TimedResponseSet
from evaluation.benchmark import Benchmark
from evaluation.features import Features
from evaluation.metrics import facts
from evaluation.pooling import FRAMES, POOLED
from evaluation.rows import SELECTED, Score
from evaluation.time.encoding import FrameEncoding
from evaluation.time.frame_alignment import FrameAlignment
from tests.composing import options
from tests.datasets import benchmark_or_skip

ALONE = ("eeg/cocktail_alignment", "eeg/cocktail_decoder")
"""Benchmarks that bring their own features, and have no stimuli."""


def benchmark_options() -> list[Any]:
    """Names of the benchmarks with stimuli; those that read files of data sets are marked."""
    names = [name for name in options("benchmark", "*/*.yaml") if name not in ALONE]
    return [pytest.param(n, marks=pytest.mark.data if reads_files(n) else ()) for n in names]


def reads_files(name: str) -> bool:
    """Whether its yaml, or one of its group that it takes a part from, names a data set."""
    path = CONF / "benchmark" / f"{name}.yaml"
    text = path.read_text()
    parts = [path.with_name(f"{part}.yaml").read_text() for part in re.findall(r"- (_\w+)@", text)]
    return "${paths.data}" in "".join([text, *parts])


built = cache(benchmark_or_skip)


@pytest.fixture
def benchmark(request: pytest.FixtureRequest) -> Any:
    return built(request.param)


def of_benchmarks(test: Any) -> Any:
    return pytest.mark.parametrize("benchmark", benchmark_options(), indirect=True)(test)


def scores(benchmark: Any, *layers: Tensor) -> list[Score]:
    """Scores of layers that are given as one vector a stimulus, or as equal frames over 2 s.

    Where frames themselves are compared, they are noise of as many columns.
    """
    features = [Features(values.float()) for values in layers]
    if isinstance(benchmark, FrameAlignment | FrameEncoding):
        generator = torch.Generator().manual_seed(0)
        full = torch.full((len(benchmark.stimuli),), 200)
        shapes = [(len(full), 200, f.values.shape[1]) for f in features]
        noise = [torch.randn(shape, generator=generator) for shape in shapes]
        features = [Features(x, full, 50.0, 0.01) for x in noise]
    elif benchmark.pooling in FRAMES:
        full = torch.full((len(benchmark.stimuli),), 100)
        features = [
            Features(f.values[:, None].expand(-1, 100, -1), full, 50.0, 0.01) for f in features
        ]
    return benchmark.score({f"layer.{i}": f for i, f in enumerate(features)})


def mean(rows: list[Score], metric: str) -> float:
    return float(np.mean([row.value for row in rows if row.metric == metric]))


@pytest.mark.long
@of_benchmarks
def test_benchmarks_keep_the_contract(benchmark: Any, request: pytest.FixtureRequest) -> None:
    assert isinstance(benchmark, Benchmark)
    assert benchmark.name == request.node.callspec.params["benchmark"]
    assert benchmark.pooling in {*POOLED, *FRAMES}
    waveform = benchmark.stimuli.waveform(0, 24_000)
    assert waveform.ndim == 1
    assert waveform.dtype == torch.float32
    assert torch.isfinite(waveform).all()
    assert waveform.abs().max() > 0
    n = len(benchmark.stimuli)
    rows = scores(benchmark, torch.randn(n, 4), torch.randn(n, 4))
    assert {row.layer for row in rows} - {SELECTED, "responses"} == {"layer.0", "layer.1"}
    assert {row.benchmark for row in rows} == {benchmark.name}
    folds = [row for row in rows if benchmark.name.startswith("probe/") and row.target]
    assert {row.n for row in rows if row not in folds} == {n}
    assert all(row.n < n for row in folds)
    held = benchmark.responses if hasattr(benchmark, "responses") else benchmark.task
    assert {row.simulated for row in rows} == {held.provenance.simulated}
    assert held.provenance.source
    assert held.provenance.licence
    assert held.folds.unique().numel() >= 2


@pytest.mark.data
@pytest.mark.parametrize("name", ALONE)
def test_benchmarks_without_stimuli_keep_theirs(name: str) -> None:
    benchmark = built(name)
    assert isinstance(benchmark, Benchmark)
    assert benchmark.name == name
    assert benchmark.stimuli is None
    assert benchmark.pooling in {*POOLED, *FRAMES}
    assert benchmark.recording.provenance.source
    assert benchmark.recording.provenance.licence


@pytest.mark.long
@of_benchmarks
def test_noise_scores_nothing(benchmark: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    if isinstance(benchmark, FrameAlignment):
        rows = scores(benchmark, torch.zeros(len(benchmark.stimuli), 6))
        level = {(r.metric, r.window): r for r in rows if r.metric.startswith("null_")}
        tested = [r for r in rows if ("null_" + r.metric, r.window) in level and not r.subject]
        metrics = len(benchmark.analyses.plain)
        assert len(tested) > 2 * metrics
        # Each metric is tested without delay and, by the largest, over delays.
        assert min(r.p for r in tested if r.p is not None) > 0.05 / (2 * metrics)
        return
    n = len(benchmark.stimuli)
    if isinstance(benchmark, FrameEncoding):
        rows = scores(benchmark, torch.zeros(n, 6))
        excess = [row for row in rows if row.kind == "excess" and not row.subject]
        assert len(excess) == 1
        assert min(row.p for row in rows if row.p is not None) > 0.05
        assert abs(excess[0].value) < 0.1
        return
    rows = scores(benchmark, torch.randn(n, 20, generator=generator))
    for metric, family in {row.metric: facts(row.of).family for row in rows}.items():
        found = mean(rows, metric)
        if family == "prediction":
            # n r² of independent series is about chi-squared of one degree: 12 in one of 2,000.
            assert found < 12 / n, metric
        elif family == "rank geometry":
            # Dissimilarities of n stimuli vary as n things do, not as n² / 2.
            assert abs(found) < 10 / n, metric
        elif family == "accuracy":
            chance = 1 / len(benchmark.task.classes)
            assert abs(found - chance) < 0.15 * max(1, (150 / n) ** 0.5), metric
        else:  # of any other, how near the answer itself comes
            held = benchmark.responses
            answer = benchmark.mean if isinstance(held, TimedResponseSet) else held.values
            assert found < 0.5 * mean(scores(benchmark, answer), metric), metric


def of_the_first_subject(benchmark: FrameAlignment | FrameEncoding) -> Features:
    """The responses themselves as frames, from onset to end."""
    zero = round(-benchmark.responses.start * benchmark.responses.rate)
    heard = slice(zero, None) if isinstance(benchmark, FrameEncoding) else benchmark.cutter.heard
    own = [values[0, heard] for values in benchmark.responses.values]
    padded = torch.nn.utils.rnn.pad_sequence(own, batch_first=True)
    return Features(padded, torch.tensor([len(x) for x in own]), benchmark.responses.rate, 0.0)


@pytest.mark.long
@of_benchmarks
def test_the_answer_itself_scores_the_ceiling(benchmark: Any) -> None:
    if isinstance(benchmark, FrameAlignment):
        rows = benchmark.score({"answer": of_the_first_subject(benchmark)})
        first = benchmark.responses.subjects[0]
        own = [r for r in rows if (r.layer, r.subject, r.window) == ("answer", first, "")]
        found = {row.metric: row for row in own}
        for metric in set(benchmark.analyses.plain) - {"gaussian_mi"}:
            assert found[metric].value == pytest.approx(1, abs=1e-6)
        return
    if isinstance(benchmark, FrameEncoding):
        rows = benchmark.score({"answer": of_the_first_subject(benchmark)})
        first = benchmark.responses.subjects[0]
        (found,) = [r for r in rows if (r.layer, r.subject, r.of) == ("answer", first, "r")]
        assert found.value > 0.9  # twenty components of more channels
        assert found.value > found.ceiling
        return
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
