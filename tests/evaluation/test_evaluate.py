"""The one path to scores: what fails is reported, the rest scores, the model is left as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.stimuli import StimulusSet
from evaluation.evaluate import Evaluation, evaluate, fingerprint
from evaluation.rows import Score
from models.encoder import Frames
from models.external.baselines.logmel import LogMelFrames
from tests.evaluation.ranks import benchmarks, two_ranks
from tests.evaluation.toys import MeanBenchmark, ToyEncoder, sounds


def test_rows_carry_encoder_step_fingerprint_and_time() -> None:
    encoder = ToyEncoder()
    result = evaluate(encoder, [MeanBenchmark("probe/a"), MeanBenchmark("probe/b")], step=7)
    assert [(r.benchmark, r.layer) for r in result.scores] == [
        ("probe/a", "samples"),
        ("probe/a", "squares"),
        ("probe/b", "samples"),
        ("probe/b", "squares"),
    ]
    assert {(r.encoder, r.step, r.fingerprint) for r in result.scores} == {
        ("toy", 7, fingerprint(encoder))
    }
    assert all(row.seconds is not None and row.seconds >= 0 for row in result.scores)
    assert not result.failures
    assert result.seconds > 0


def test_benchmarks_with_the_same_sounds_share_one_pass() -> None:
    encoder = ToyEncoder()
    shared = [
        MeanBenchmark("probe/mean"),
        MeanBenchmark("probe/quarters", pooling="quarters"),
        MeanBenchmark("fmri/frames", sounds("another name"), pooling="frames"),
    ]
    evaluate(encoder, shared)
    assert sum(encoder.batches) == len(sounds())
    assert [b.given[0]["samples"].values.shape for b in shared] == [(6, 10), (6, 40), (6, 5, 10)]
    other = MeanBenchmark("probe/other", sounds(lengths=[10, 20]))
    evaluate(encoder, [*shared, other])
    assert sum(encoder.batches) == 2 * len(sounds()) + 2


def test_a_failing_benchmark_is_reported_and_the_others_score() -> None:
    broken = MeanBenchmark("probe/broken", error=ValueError("no labels today"))
    result = evaluate(ToyEncoder(), [broken, MeanBenchmark("probe/whole")], step=3)
    assert {row.benchmark for row in result.scores} == {"probe/whole"}
    (failure,) = result.failures
    assert (failure.benchmark, failure.encoder, failure.step) == ("probe/broken", "toy", 3)
    assert failure.error == "ValueError: no labels today"


def test_sounds_that_cannot_be_encoded_fail_their_benchmarks_alone() -> None:
    class Picky(ToyEncoder):
        def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
            if lengths.max() > 50:
                raise RuntimeError("out of memory")
            return super().encode(audio, lengths)

    long = sounds("long", [90, 10])
    result = evaluate(
        Picky(),
        [MeanBenchmark("a", long), MeanBenchmark("b", long), MeanBenchmark("c")],
    )
    assert [f.benchmark for f in result.failures] == ["a", "b"]
    assert all("out of memory" in f.error for f in result.failures)
    assert {row.benchmark for row in result.scores} == {"c"}


def test_sounds_that_cannot_be_read_fail_their_benchmark_alone(tmp_path: Path) -> None:
    gone = StimulusSet("gone", ["a"], [tmp_path / "a.wav"])
    result = evaluate(ToyEncoder(), [MeanBenchmark("lost", gone), MeanBenchmark("kept", sounds())])
    assert {row.benchmark for row in result.scores} == {"kept"}
    assert [failure.benchmark for failure in result.failures] == ["lost"]
    assert "a.wav" in result.failures[0].error


def test_errors_are_raised_when_asked_for() -> None:
    broken = MeanBenchmark("probe/broken", error=ValueError("no labels today"))
    with pytest.raises(RuntimeError, match="probe/broken: ValueError: no labels today"):
        evaluate(ToyEncoder(), [broken], on_error="raise")
    with pytest.raises(ValueError, match="on_error is 'ignore', expected"):
        evaluate(ToyEncoder(), [], on_error="ignore")


def test_what_the_time_budget_leaves_out_is_reported() -> None:
    encoder = ToyEncoder()
    first, second = MeanBenchmark("a"), MeanBenchmark("b", sounds(lengths=[10, 20]))
    result = evaluate(encoder, [first, second], time_budget=0.0, step=1)
    assert not result.scores
    assert sum(encoder.batches) == 0
    assert [(f.benchmark, f.step) for f in result.failures] == [("a", 1), ("b", 1)]
    assert all("time budget of 0 s" in f.error for f in result.failures)
    assert not evaluate(encoder, [first, second], time_budget=1e6).failures


def test_a_time_budget_that_ends_between_two_sets_keeps_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("evaluation.evaluate.time.perf_counter", lambda: float(next(clock)))
    second = MeanBenchmark("b", sounds(lengths=[10, 20]))
    result = evaluate(ToyEncoder(), [MeanBenchmark("a"), second], time_budget=2.0)
    assert {row.benchmark for row in result.scores} == {"a"}
    assert [f.benchmark for f in result.failures] == ["b"]


@pytest.mark.parametrize("fails", [False, True])
def test_train_mode_of_every_module_and_all_weights_are_left_as_they_were(fails: bool) -> None:
    encoder = ToyEncoder()
    encoder.inner[0].eval()  # mixed: a frozen part inside a training model
    modes = [m.training for m in encoder.modules()]
    assert True in modes
    assert False in modes
    inside: list[bool] = []

    class Watching(MeanBenchmark):
        def score(self, features: Any) -> list[Score]:
            inside.extend(m.training for m in encoder.modules())
            return super().score(features)

    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    error = KeyError("x") if fails else None
    if fails:
        with pytest.raises(RuntimeError):
            evaluate(encoder, [Watching("a", error=error)], on_error="raise")
    else:
        evaluate(encoder, [Watching("a")])
    assert not any(inside)
    assert [m.training for m in encoder.modules()] == modes
    after = encoder.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert all(p.grad is None and p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("fails", [False, True])
def test_products_are_exact_inside_and_as_they_were_after(fails: bool) -> None:
    seen = []

    class Watched(ToyEncoder):
        def encode(self, audio, lengths):
            seen.append(torch.get_float32_matmul_precision())
            if fails:
                raise RuntimeError("no")
            return super().encode(audio, lengths)

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        evaluate(Watched(), [MeanBenchmark("fmri/toy", sounds())])
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {"highest"}


def test_fingerprint_is_of_the_weights_not_of_the_name() -> None:
    assert fingerprint(ToyEncoder()) == fingerprint(ToyEncoder(name="other"))
    assert fingerprint(ToyEncoder()) != fingerprint(ToyEncoder(gain=1.0001))
    half = ToyEncoder().bfloat16()
    assert len(fingerprint(half)) == 64
    buffer = ToyEncoder()
    buffer.inner[1].running_mean += 1e-6  # type: ignore[operator]
    assert fingerprint(buffer) != fingerprint(ToyEncoder())
    # Log-mel has no weights, but filters that no state dict holds.
    assert fingerprint(LogMelFrames(64)) != fingerprint(LogMelFrames(128))


def plain(result: Evaluation) -> list[Score]:
    return [replace(row, seconds=None) for row in result.scores]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    """What each of two processes that evaluate together got."""
    return two_ranks(tmp_path_factory.mktemp("ranks"))


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one_on_both_ranks(ranks: list[dict[str, Any]]) -> None:
    alone = plain(evaluate(ToyEncoder(), benchmarks(), step=5))
    assert {row.benchmark for row in alone} == {b.name for b in benchmarks()} - {"probe/broken"}
    for answer in (rank["whole"] for rank in ranks):
        assert [replace(Score(**row), seconds=None) for row in answer["scores"]] == alone
        assert [f["benchmark"] for f in answer["failures"]] == ["probe/broken"]
    assert [rank["whole"]["batches"] for rank in ranks] == [[3, 1, 2], [1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fails", "fails strangely"])
def test_an_encoder_that_fails_on_one_rank_fails_on_both(
    ranks: list[dict[str, Any]], kind: str
) -> None:
    for answer in (rank[kind] for rank in ranks):
        # The short sounds are one batch, which rank 0 encodes.
        assert {row["benchmark"] for row in answer["scores"]} == {"probe/short"}
        assert [f["benchmark"] for f in answer["failures"]] == [b.name for b in benchmarks()[:4]]
        assert all("the cable of rank 1 is loose" in f["error"] for f in answer["failures"])


@pytest.mark.slow
def test_an_error_of_one_rank_is_raised_on_both(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert "the cable of rank 1 is loose" in rank["raises"]["raised"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "second"),
    [
        # Only frames, which are not kept, are computed again: those of the long sounds.
        ("kept", [[3, 1], [1, 1]]),
        # What rank 1 cannot read is computed by both.
        ("kept apart", [[3, 1, 2], [1, 1]]),
    ],
)
def test_ranks_agree_on_what_is_kept(
    ranks: list[dict[str, Any]], kind: str, second: list[list[int]]
) -> None:
    alone = plain(evaluate(ToyEncoder(), benchmarks(), step=5))
    for answer in (rank[kind] for rank in ranks):
        for rows in answer["scores"]:
            assert [replace(Score(**row), seconds=None) for row in rows] == alone
    assert [rank[kind]["batches"][0] for rank in ranks] == [[3, 1, 2], [1, 1]]
    assert [rank[kind]["batches"][1] for rank in ranks] == second


def test_rows_are_given_away_as_soon_as_they_exist() -> None:
    given: list[Evaluation] = []
    benchmarks = [
        MeanBenchmark("first", sounds("one")),
        MeanBenchmark("second", sounds("two", (20, 30)), error=ValueError("no labels today")),
        MeanBenchmark("third", sounds("two", (20, 30))),
    ]
    result = evaluate(ToyEncoder(), benchmarks, step=3, on_part=given.append)
    assert [{row.benchmark for row in part.scores} for part in given if part.scores] == [
        {"first"},
        {"third"},
    ]
    assert [row for part in given for row in part.scores] == result.scores
    assert [row for part in given for row in part.failures] == result.failures
    assert all(row.fingerprint and row.step == 3 for row in result.scores)
