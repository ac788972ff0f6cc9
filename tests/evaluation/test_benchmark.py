"""The one row that everything is made from, and its way to the disk and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.benchmark import Benchmark
from evaluation.rows import Failure, Score, append_rows, read_scores
from tests.evaluation.toys import MeanBenchmark

ROW = Score("fmri/made", "r2", "encoder.3", 0.1 + 0.2, target="pitch", ceiling=0.8, n=165, step=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_says_what_it_was(value: float) -> None:
    with pytest.raises(ValueError, match=r"fmri/made: r2 of layer encoder\.3 is (nan|-?inf)"):
        Score("fmri/made", "r2", "encoder.3", value)
    with pytest.raises(ValueError, match="ceiling of r2 of layer"):
        Score("fmri/made", "r2", "encoder.3", 0.1, ceiling=value)


def test_rows_come_back_exactly_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    other = Score("probe/made", "knn_accuracy", "encoder.0", 1.0, ci_low=0.9, simulated=True)
    append_rows(path, [ROW])
    append_rows(path, [other])
    assert len(path.read_text().splitlines()) == 2
    assert read_scores(path) == [ROW, other]
    assert json.loads(path.read_text().splitlines()[0])["value"] == 0.1 + 0.2


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    append_rows(path, [ROW, ROW])
    path.write_text(path.read_text()[:-30])
    assert read_scores(path) == [ROW]


def test_rows_after_a_torn_line_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    append_rows(path, [ROW, ROW])
    path.write_text(path.read_text()[:-30])
    append_rows(path, [ROW])
    assert read_scores(path) == [ROW, ROW]


def test_a_torn_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    append_rows(path, [ROW, ROW])
    path.write_text("{half\n" + path.read_text())
    with pytest.raises(ValueError, match=r"scores\.jsonl line 1 is not JSON .* fix or remove"):
        read_scores(path)


def test_columns_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    append_rows(path, [ROW])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mood": "good"}) + "\n")
    assert read_scores(path) == [ROW]


def test_a_failure_names_benchmark_and_reason(tmp_path: Path) -> None:
    append_rows(tmp_path / "failures.jsonl", [Failure("fmri/made", "no responses", "toy", 3)])
    row = json.loads((tmp_path / "failures.jsonl").read_text())
    expected = {"benchmark": "fmri/made", "error": "no responses", "encoder": "toy", "step": 3}
    assert row == expected


def test_the_protocol_asks_for_stimuli_pooling_and_score() -> None:
    assert isinstance(MeanBenchmark("probe/toy"), Benchmark)
    assert not isinstance(ROW, Benchmark)
