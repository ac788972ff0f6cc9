"""Nothing is scored twice; what changed, failed or was cut short is scored again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from evaluation.benchmark import Benchmark
from evaluation.evaluate import evaluate
from evaluation.rows import Failure, read_scores
from evaluation.scored import Scored, write_failures
from models.encoder import Frames
from tests.evaluation.toys import MeanBenchmark, ToyEncoder, sounds


class Counting(ToyEncoder):
    """Known by its weights; ``batches`` says what it heard."""


class Plain:
    """An encoder without weights."""

    layers: tuple[str, ...] = ("samples", "squares")
    sample_rate = 100

    def __init__(self, name: str = "plain", power: int = 1) -> None:
        self.name, self.power = name, power

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        frames = ToyEncoder().encode(audio, lengths)
        return {k: replace(f, values=f.values**self.power) for k, f in frames.items()}


class Restless(Plain):
    """Whose features cannot be told from its attributes."""

    settings = None


def two() -> list[Benchmark]:
    return [MeanBenchmark("probe/one"), MeanBenchmark("probe/two", sounds("others", (20, 30)))]


def evaluate_new(
    folder: Path,
    encoder: Any,
    benchmarks: Sequence[Benchmark],
    settings: dict[str, Any] | None = None,
    others: object = None,
    again: bool = False,
) -> list[str]:
    """Score what is not scored, as probe.py does; names of what was."""
    scored = Scored(folder, encoder, settings or {}, others)
    rest = scored.rest(benchmarks, again)
    result = evaluate(encoder, rest, on_part=scored.write)
    scored.settle(rest, result.failures)
    return [benchmark.name for benchmark in rest]


def test_what_is_scored_is_not_scored_again(tmp_path: Path) -> None:
    encoder = Counting()
    assert evaluate_new(tmp_path, encoder, two()) == ["probe/one", "probe/two"]
    heard, rows = len(encoder.batches), read_scores(tmp_path / "scores.jsonl")
    assert evaluate_new(tmp_path, encoder, two()) == []
    assert evaluate_new(tmp_path, Counting(), two()) == []
    assert len(encoder.batches) == heard > 0
    assert read_scores(tmp_path / "scores.jsonl") == rows
    third = [*two(), MeanBenchmark("probe/three")]
    assert evaluate_new(tmp_path, encoder, third) == ["probe/three"]


def test_again_scores_all_anew(tmp_path: Path) -> None:
    for _ in range(2):
        assert evaluate_new(tmp_path, Counting(), two(), again=True) == ["probe/one", "probe/two"]
    assert len(read_scores(tmp_path / "scores.jsonl")) == 8


@pytest.mark.parametrize(
    "changed",
    [
        {"encoder": Counting(gain=2.0)},
        {"encoder": Counting(name="other")},
        {"settings": {"path": "a", "layers": ["last"]}},
        {"settings": {"path": "a", "of": {"seed": 1}}},
        {"others": {"controls": "all"}},
        {"benchmarks": [MeanBenchmark("probe/one", pooling="mean_std")]},
        {"benchmarks": [MeanBenchmark("probe/one", sounds("fewer", (50, 10)))]},
    ],
)
def test_what_has_changed_is_scored(tmp_path: Path, changed: dict[str, Any]) -> None:
    def usual() -> dict[str, Any]:
        settings = {"path": "a", "of": {"path": "b"}}
        return {"encoder": Counting(), "benchmarks": two()[:1], "settings": settings}

    evaluate_new(tmp_path, **usual())
    moved = {"path": "elsewhere/a", "revision": "1", "of": {"path": "elsewhere/b"}}
    assert evaluate_new(tmp_path, **usual() | {"settings": moved}) == []
    assert evaluate_new(tmp_path, **usual() | changed) == ["probe/one"]
    assert evaluate_new(tmp_path, **usual()) == []


def test_an_encoder_without_weights_is_known_by_its_attributes(tmp_path: Path) -> None:
    assert len(evaluate_new(tmp_path, Plain(), two())) == 2
    assert evaluate_new(tmp_path, Plain(), two()) == []
    assert len(evaluate_new(tmp_path, Plain(power=2), two())) == 2


def test_an_encoder_that_cannot_be_known_is_always_scored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for _ in range(2):
        assert len(evaluate_new(tmp_path, Restless(), two())) == 2
    assert "plain is always scored again" in caplog.text


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    broken = MeanBenchmark("probe/two", sounds("others", (20, 30)), error=ValueError("no labels"))
    assert len(evaluate_new(tmp_path, Counting(), [two()[0], broken])) == 2
    assert evaluate_new(tmp_path, Counting(), two()) == ["probe/two"]
    assert evaluate_new(tmp_path, Counting(), two()) == []


def test_a_failure_that_names_no_benchmark_is_one_of_all(tmp_path: Path) -> None:
    scored = Scored(tmp_path, Counting(), {})
    rest = scored.rest(two())
    evaluate(Counting(), rest, on_part=scored.write)
    scored.settle(rest, [Failure("", "no reference")])
    assert len(scored.rest(two())) == 2


@pytest.mark.parametrize("lost", ["scores.jsonl", "scored.jsonl"])
def test_lines_that_are_lost_are_scored_again(tmp_path: Path, lost: str) -> None:
    evaluate_new(tmp_path, Counting(), two())
    (tmp_path / lost).unlink()
    assert len(evaluate_new(tmp_path, Counting(), two())) == 2


def test_a_line_that_a_killed_run_left_torn_does_not_count(tmp_path: Path) -> None:
    evaluate_new(tmp_path, Counting(), two())
    file = tmp_path / "scored.jsonl"
    file.write_text(file.read_text()[:-20])
    assert evaluate_new(tmp_path, Counting(), two()) == ["probe/two"]
    assert evaluate_new(tmp_path, Counting(), two()) == []


def test_rows_are_written_as_soon_as_they_are_there(tmp_path: Path) -> None:
    class Deadly(MeanBenchmark):
        def score(self, features: Any) -> Any:
            raise KeyboardInterrupt

    last = Deadly("probe/two", sounds("others", (20, 30)))
    with pytest.raises(KeyboardInterrupt):
        evaluate_new(tmp_path, Counting(), [two()[0], last])
    assert {row.benchmark for row in read_scores(tmp_path / "scores.jsonl")} == {"probe/one"}


def test_failures_that_were_mended_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    write_failures(path, ["a", "b"], [Failure("a", "no labels"), Failure("b", "no sounds")])
    write_failures(path, ["c"], [Failure("", "no weights")])
    write_failures(path, ["a"], [])
    assert [json.loads(line)["benchmark"] for line in path.read_text().splitlines()] == ["b"]
