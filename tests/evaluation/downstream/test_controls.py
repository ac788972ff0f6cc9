"""Controls: rows under the name of the control, for benchmarks that have some."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.task import Task
from evaluation.downstream.controls import control_scores
from evaluation.downstream.probing import MAJORITY, SHUFFLED, ClassificationProbe
from models.external.controls import random
from tests.evaluation.toys import MeanBenchmark, ToyEncoder, sounds

N = 60


def loud(index: int) -> tuple[torch.Tensor, int]:
    """A sound of ten samples whose level is its class."""
    noise = torch.rand(10, generator=torch.Generator().manual_seed(index))
    return (0.2 + 0.1 * noise) * (1 + index % 3), 100


def task() -> ClassificationProbe:
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    stimuli = StimulusSet("loud", [str(i) for i in range(N)], [partial(loud, i) for i in range(N)])
    folds = torch.arange(N) // 3 % 5
    labels = torch.arange(N) % 3
    return ClassificationProbe(
        "probe/loud", Task(stimuli, labels, ("a", "b", "c"), folds, made), "mean"
    )


def test_every_control_is_scored_under_its_own_name() -> None:
    others = {"silent": ToyEncoder(0.0)}
    copies = {"twin": lambda encoder: ToyEncoder(2.0), "random weights": random}
    benchmarks = [task(), MeanBenchmark("fmri/toy", sounds())]
    result = control_scores(ToyEncoder(), benchmarks, others, copies)
    assert not result.failures
    rows = {(r.encoder, r.layer): r.value for r in result.scores if r.metric == "knn_accuracy"
            and not r.target}  # fmt: skip
    assert {r.benchmark for r in result.scores} == {"probe/loud"}
    assert {name for name, _ in rows} == {SHUFFLED, MAJORITY, "silent", "twin"}
    assert rows["twin", "samples"] > 0.9
    assert rows["silent", "samples"] == pytest.approx(1 / 3, abs=0.05)
    assert rows[SHUFFLED, "samples"] < 0.6
    assert rows[MAJORITY, "none"] == pytest.approx(1 / 3, abs=0.05)


def test_a_control_that_fails_is_reported_under_its_name() -> None:
    class Broken(ToyEncoder):
        def encode(self, audio, lengths):
            raise RuntimeError("no weights")

    result = control_scores(ToyEncoder(), [task()], {"broken": Broken()}, {})
    (failure,) = result.failures
    assert (failure.encoder, failure.benchmark) == ("broken", "probe/loud")
    assert "no weights" in failure.error


def test_a_copy_that_cannot_be_made_is_no_control_and_an_error_in_making_it_a_failure() -> None:
    def without_weights(encoder: object) -> ToyEncoder:
        raise ValueError("no weights")

    def broken(encoder: object) -> ToyEncoder:
        raise AttributeError("a slip")

    copies = {"new weights": without_weights, "broken": broken}
    (failure,) = control_scores(ToyEncoder(), [task()], {}, copies).failures
    assert (failure.encoder, failure.benchmark) == ("broken", "probe/loud")
    assert "a slip" in failure.error
